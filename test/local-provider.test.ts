/** A tiny checkpoint with a chat template as a model that answers messages. */
import { copyFile, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { LanguageModel } from '../src/models/language-model.ts';
import { type LocalTextModel, localTextModel } from '../src/providers/local.ts';
import { isFailure, type TextRequest } from '../src/providers/text-model.ts';
import { fixtures, tinyModels } from './tiny-models.ts';

const models = tinyModels();
let lm: LanguageModel;
let local: LocalTextModel;

/** The tiny Llama; its template writes "<s> w5 …" and ends with "w6". */
async function chattyModel(): Promise<LanguageModel> {
  const folder = await mkdtemp(join(tmpdir(), 'whetstone-chat-'));
  for (const file of ['config.json', 'model.safetensors']) {
    await copyFile(join(fixtures, 'models', 'llama', file), join(folder, file));
  }
  const path = join(fixtures, 'models', 'llama', 'tokenizer.json');
  await writeFile(join(folder, 'tokenizer.json'), await readFile(path));
  const chat_template =
    "{{ bos_token }} {% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no system') }}{% endif %}w5 {{ m.content }} {% endfor %}w6";
  const config = { bos_token: '<s>', eos_token: '</s>', chat_template };
  await writeFile(join(folder, 'tokenizer_config.json'), JSON.stringify(config));
  return models.open(relative(fixtures, folder));
}

beforeAll(async () => {
  lm = await chattyModel();
  local = localTextModel(lm);
});
afterAll(async () => {
  await local.close();
  await models.close();
});

const ask = (content: string, more: Partial<TextRequest> = {}): TextRequest => ({
  messages: [{ role: 'user', content }],
  maxTokens: 8,
  ...more,
});

it('answers in the order of the requests, long and short together', async () => {
  const requests = [ask('w7 w8 w9 w10'), ask('w7'), ask('w11 w12')];
  const together = await local.complete(requests);
  const alone = [];
  for (const request of requests) alone.push(...(await local.complete([request])));
  expect(together).toEqual(alone);
  expect(together.map((answer) => !isFailure(answer) && answer.inputTokens)).toEqual([7, 4, 5]);
  expect(together.every((answer) => !isFailure(answer) && answer.outputTokens > 0)).toBe(true);
});

it('samples by seed and sample number', async () => {
  const more = { temperature: 1, seed: 3 };
  const requests = [0, 1, 0].map((sample) => ask('w7 w8', { ...more, sample }));
  const [a, b, again] = await local.complete([...requests, ask('w7 w8')]);
  expect(again).toEqual(a);
  expect(b).not.toEqual(a);
});

it('lets a request that does not fit fail alone, and says how long it is', async () => {
  const long = ask(Array.from({ length: 60 }, () => 'w7').join(' '));
  const refused = { messages: [{ role: 'system', content: 'w7' }], maxTokens: 2 } as const;
  const done: number[] = [];
  const [a, b, c] = await local.complete([long, ask('w7'), refused], {
    onProgress: (count) => done.push(count),
  });
  expect(isFailure(a!) && a.error.message).toMatch(
    /messages of 63 tokens and an answer of 8 do not fit into its window of 64/,
  );
  expect(isFailure(b!)).toBe(false);
  expect(isFailure(c!) && c.error.message).toMatch(/its chat template .*no system/);
  expect(done).toEqual([3]);
});

it('tells pieces of each answer that are its text when joined', async () => {
  const requests = [ask('w7', { temperature: 1, topP: 0.9, seed: 1 }), ask('w8 w9'), ask('w7 w8')];
  const pieces = requests.map((): string[] => []);
  const answers = await local.complete(requests, {
    onText: (at, piece) => pieces[at]!.push(piece),
  });
  expect(pieces.map((all) => all.join(''))).toEqual(answers.map((a) => !isFailure(a) && a.text));
  expect(pieces.every((all) => all.length > 2)).toBe(true);
  expect(await local.complete(requests)).toEqual(answers);
});

it('stops where it is told to, and when it is aborted', async () => {
  const [whole] = await local.complete([ask('w7')]);
  const text = isFailure(whole!) ? '' : whole!.text;
  const word = text.split(' ')[3]!;
  const [cut] = await local.complete([ask('w7', { stop: [word] })]);
  expect(cut).toMatchObject({ finish: 'stop', text: text.slice(0, text.indexOf(word)).trim() });
  await expect(local.complete([ask('w7')], { signal: AbortSignal.abort() })).rejects.toThrow(
    /abort/i,
  );
});
