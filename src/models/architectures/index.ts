/** Every architecture: one file each, one line here. */
import { bert, roberta } from './bert.ts';
import { gpt2 } from './gpt2.ts';
import { llama } from './llama.ts';

export const architectures = { llama, gpt2, bert, roberta } as const;
