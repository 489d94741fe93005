/** Every provider: a new one is one file and one line here. */
import { alephAlpha } from './aleph-alpha.ts';
import { anthropic } from './anthropic.ts';
import { google } from './google.ts';
import { huggingface } from './huggingface.ts';
import { mistral } from './mistral.ts';
import { openai } from './openai.ts';
import { llamaCpp, lmStudio, ollama, openaiCompatible, vllm } from './openai-compatible.ts';
import type { Provider } from './provider.ts';

export const providers: Readonly<Record<string, Provider>> = Object.fromEntries(
  [
    openai,
    anthropic,
    google,
    mistral,
    huggingface,
    alephAlpha,
    openaiCompatible,
    ollama,
    vllm,
    llamaCpp,
    lmStudio,
  ].map((provider) => [provider.name, provider]),
);
