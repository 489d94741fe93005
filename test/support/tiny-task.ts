/**
 * A task that runs in seconds: the tiny Llama checkpoint under a tokenizer of real words, a file of
 * labelled rows, and a configuration. The weights are random, so only relations mean anything.
 */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type LoadedConfig, parseConfig } from '../../src/runs/config.ts';
import { fixtures } from '../tiny-models.ts';

const WORDS =
  'good bad fine poor great awful happy sad tone mood is was the it this review feel so very not overall answer one word in short nice dull warm cold best worst love hate walk walked slow fast and'.split(
    ' ',
  );
const SPECIAL = ['<pad>', '<s>', '</s>', '<unk>', '<mask>'];

export interface TinyTask {
  readonly folder: string;
  /** The model's folder. */
  readonly model: string;
  /** The configuration's file. */
  readonly path: string;
  /** The configuration, with some keys changed: 'seed=2'. */
  load(...set: readonly string[]): LoadedConfig;
}

/** Writes everything into a folder. */
export async function writeTinyTask(folder: string): Promise<TinyTask> {
  const model = join(folder, 'tiny');
  await mkdir(model, { recursive: true });
  for (const name of ['config.json', 'model.safetensors']) {
    await copyFile(join(fixtures, 'models', 'llama', name), join(model, name));
  }
  await writeFile(join(model, 'tokenizer.json'), JSON.stringify(tokenizer()));
  await writeFile(join(folder, 'rows.csv'), ['text,label', ...rows()].join('\n'));
  const yaml = `task:
  data: rows.csv
  input: text
  gold: label
  labels: { n: bad, p: good }
  description: feel
taskLm: ./tiny
policyLm: ./tiny
method: { name: random, promptTokens: 2, batchSize: 8 }
budget: { evaluations: 400 }
precision: { search: float32 }
`;
  const path = join(folder, 'whetstone.yaml');
  await writeFile(path, yaml);
  return {
    folder,
    model,
    path,
    load: (...set) => ({ config: parseConfig(yaml, { set }), path, folder }),
  };
}

/** 40 texts of three words, no two alike. */
function rows(): string[] {
  return Array.from({ length: 40 }, (_, i) => {
    const text = [WORDS[i % 38]!, WORDS[(3 * i + 7) % 38]!, WORDS[(5 * i + 1) % 38]!].join(' ');
    return `${text},${i % 2 === 0 ? 'p' : 'n'}`;
  });
}

function tokenizer(): object {
  const tokens = [
    ...SPECIAL,
    ...WORDS.flatMap((word) => [`Ġ${word}`, word]),
    'Ġqz',
    'vx',
    ':',
    ' Ċ',
  ];
  return {
    version: '1.0',
    added_tokens: SPECIAL.map((content, id) => ({
      id,
      content,
      special: true,
      normalized: false,
      lstrip: false,
      rstrip: false,
      single_word: false,
    })),
    normalizer: null,
    post_processor: null,
    pre_tokenizer: {
      type: 'ByteLevel',
      add_prefix_space: false,
      trim_offsets: true,
      use_regex: true,
    },
    decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
    model: {
      type: 'WordLevel',
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      unk_token: '<unk>',
    },
  };
}
