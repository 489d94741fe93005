/** A task over a tiny checkpoint's own words, and what a method needs to run on it. */
import { copyFile, cp, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { Environment } from '../src/environment/index.ts';
import { Budget, CandidatePool, type MethodContext } from '../src/methods/index.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import { type Example, parseTemplate, rewards, sealSplit, type Task } from '../src/tasks/index.ts';
import { createRng } from '../src/util/rng.ts';
import { fixtures, type tinyModels } from './tiny-models.ts';

/**
 * A checkpoint of 96 words under a tokenizer in which, as in byte-level BPE, a word after a space
 * ("Ġab") and one at the beginning of a text ("ab") are different tokens.
 */
export async function spacedModel(
  models: ReturnType<typeof tinyModels>,
  name: string,
): Promise<LanguageModel> {
  const folder = await mkdtemp(join(tmpdir(), 'whetstone-spaced-'));
  for (const file of ['config.json', 'model.safetensors']) {
    await copyFile(join(fixtures, 'models', name, file), join(folder, file));
  }
  const letters = [...'abcdefg'];
  const words = letters.flatMap((a) => letters.map((b) => a + b)); // 49
  const tokens = ['<unk>', ...words.map((word) => `Ġ${word}`), ...words].slice(0, 96);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  const tokenizer = {
    version: '1.0',
    added_tokens: [],
    normalizer: null,
    pre_tokenizer: byteLevel,
    post_processor: null,
    decoder: byteLevel,
    model: {
      type: 'WordLevel',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      unk_token: '<unk>',
    },
  };
  await writeFile(join(folder, 'tokenizer.json'), JSON.stringify(tokenizer));
  return models.open(relative(fixtures, folder));
}

/** The tiny RoBERTa with the file that says which of its tokens is the mask. */
export async function maskedModel(models: ReturnType<typeof tinyModels>): Promise<LanguageModel> {
  const folder = await mkdtemp(join(tmpdir(), 'whetstone-masked-'));
  await cp(join(fixtures, 'models', 'roberta'), folder, { recursive: true });
  await writeFile(join(folder, 'tokenizer_config.json'), '{"mask_token":"<mask>"}');
  return models.open(relative(fixtures, folder));
}

/** Whole words of one token each, after a space. */
export function wordsOf({ tokenizer }: LanguageModel): string[] {
  const seen = new Set<string>();
  for (let id = 0; id < tokenizer.size; id++) {
    if (tokenizer.isSpecial(id)) continue;
    const text = tokenizer.tokenText(id).trim();
    if (/^\w+$/.test(text) && tokenizer.encode(` ${text}`).length === 1) seen.add(text);
  }
  return [...seen];
}

export interface TinyTaskOptions {
  readonly template: string;
  /** @default 11 */
  readonly size?: number;
  /** @default the checkpoint's first two words */
  readonly labelWords?: readonly string[];
  /** Gold class of an example. @default every other one */
  readonly label?: (input: string, index: number) => number;
}

export function tinyTask(
  lm: LanguageModel,
  { template, size = 11, labelWords, label = (_, i) => i % 2 }: TinyTaskOptions,
): Task {
  const words = wordsOf(lm);
  const rng = createRng('tiny task');
  const examples: Example[] = Array.from({ length: size }, (_, i) => {
    const picked = Array.from({ length: 1 + (i % 5) }, () => words[rng.integer(words.length)]!);
    const input = picked.join(' ');
    return { id: String(i), input, label: label(input, i) };
  });
  return {
    kind: 'classification',
    name: 'tiny',
    description: '',
    classes: (labelWords ?? words.slice(0, 2)).map((word, i) => ({ gold: String(i), word })),
    template: parseTemplate(template),
    train: examples,
    validation: examples,
    test: sealSplit(examples),
    hashes: {},
    warnings: [],
  };
}

/** Everything real: environment in float32, budget, pool, seeded randomness. */
export function tinyContext(
  taskLm: LanguageModel,
  task: Task,
  { evaluations, seed = 1 }: { evaluations: number; seed?: number },
): MethodContext {
  const make = (given: Task) =>
    new Environment({
      task: given,
      taskLm,
      examples: task.train,
      reward: rewards['log-prob'],
      precision: 'float32',
      examplesPerPass: 4,
    });
  const environment = make(task);
  return {
    task,
    environment,
    environmentWith: (template) => make({ ...task, template: parseTemplate(template) }),
    validation: task.validation,
    taskLm,
    reward: rewards['log-prob'],
    rng: createRng(seed),
    budget: new Budget({ evaluations }, () => environment.evaluations),
    pool: new CandidatePool(),
    propose: () => {
      throw new Error('this context takes texts alone');
    },
    createPolicy: () => {
      throw new Error('this context has no policy');
    },
    policyLm: async () => taskLm,
    scorer: () => environment,
    reads: ['description', 'examples'],
    warn: () => {},
    signal: undefined,
  };
}
