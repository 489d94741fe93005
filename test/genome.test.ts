/** What evolution makes prompts of, under real tokenizers. */
import { expect, it } from 'vitest';
import { alphabetOf, asPrompt } from '../src/methods/genome.ts';
import { loadTokenizerJson } from '../src/models/tokenizer-json.ts';
import { wholeWords } from '../src/policy/action-space.ts';
import { labelTask } from './support/label-task.ts';
import { tokenizerFile } from './tokenizer-fixtures.ts';

const task = labelTask();

it.each(['bert', 'bert-cased', 'gpt2', 'roberta', 'gemma', 'mistral'])(
  'tokens of %s stand apart in a prompt',
  (kind) => {
    const tokenizer = loadTokenizerJson(tokenizerFile(kind));
    const { units } = alphabetOf('tokens', task, tokenizer);
    const words = units.slice(0, 3).map((unit) => unit.trim());
    expect(units.length).toBeGreaterThan(3);
    expect(asPrompt(units.slice(0, 3), undefined, 5)).toEqual({ text: words.join(' ') });
    // Where the tokens hold their space, a unit is the token's own text.
    const own = wholeWords(tokenizer).map((id) => tokenizer.tokenText(id));
    if (own[0]!.startsWith(' ')) expect(units).toEqual(own);
  },
);
