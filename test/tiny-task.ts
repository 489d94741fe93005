/**
 * A task on a tiny checkpoint whose tokenizer knows words and line ends, as a folder with a
 * configuration: what methods and runs are tested on. The weights are random, so what is learnt is
 * chance; that search finds more of it than its start holds is what tests can ask.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { StepReport } from '../src/methods/index.ts';
import { type LoadedConfig, loadConfig } from '../src/runs/config.ts';
import { methodOf } from '../src/runs/configured-method.ts';
import type { RunEvent } from '../src/runs/events.ts';
import { type Found, search } from '../src/runs/search.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { createRng } from '../src/util/rng.ts';
import { fixtures } from './tiny-models.ts';

const WORDS =
  'it was the food room staff so very not a fine dull slow warm cold clean loud fresh kind rude plain great poor late soon film book plot cast'.split(
    ' ',
  );
const MARKS = ['Ċ', '.', ':', ',', 'Sent', 'iment', 'It', 'Ġsentiment', 'Ġis', 'Ġnegative', 'Ġpositive', 'Ġ{', 'Ġ}', 'Answer', 'Label', 'The', 'ĠThe', 'ĠIt']; // biome-ignore format: one list
const SPECIAL = ['<pad>', '<s>', '</s>', '<unk>', '<mask>'];

/** A tokenizer.json of whole words with and without a space before them. */
function tokenizerJson(): object {
  const words = WORDS.flatMap((word) => [`Ġ${word}`, word]);
  const vocab = [...SPECIAL, ...MARKS, ...words].slice(0, 96);
  return {
    version: '1.0',
    added_tokens: SPECIAL.map((content, id) => ({ id, content, special: true })),
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel' },
    model: {
      type: 'WordLevel',
      vocab: Object.fromEntries(vocab.map((token, id) => [token, id])),
      unk_token: '<unk>',
    },
  };
}

export interface TinyTask {
  /** Holds model/, the data files and tiny.yaml. */
  readonly folder: string;
  /** The configuration with overrides, as `--set` takes them. */
  load(...set: string[]): Promise<LoadedConfig>;
  remove(): Promise<void>;
}

export interface TinyOptions {
  /** A folder of test/fixtures/models. @default llama */
  readonly model?: 'llama' | 'roberta';
  readonly template?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Examples of each split. */
  readonly examples?: number;
}

export async function tinyTask(options: TinyOptions = {}): Promise<TinyTask> {
  const { model = 'llama', template, labels = { '0': 'negative', '1': 'positive' } } = options;
  const folder = await mkdtemp(join(tmpdir(), 'whetstone-task-'));
  await mkdir(join(folder, 'model'));
  for (const name of ['config.json', 'model.safetensors']) {
    await cp(join(fixtures, 'models', model, name), join(folder, 'model', name));
  }
  if (model === 'llama') await lengthenContext(join(folder, 'model', 'config.json'));
  await writeFile(join(folder, 'model', 'tokenizer.json'), JSON.stringify(tokenizerJson()));
  await writeFile(join(folder, 'model', 'tokenizer_config.json'), '{"mask_token":"<mask>"}');
  for (const split of ['train', 'validation', 'test']) {
    const rows = remarks(split, options.examples ?? 24);
    await writeFile(join(folder, `${split}.tsv`), `text\tlabel\n${rows.join('\n')}\n`);
  }
  const config = {
    task: {
      data: { train: 'train.tsv', validation: 'validation.tsv', test: 'test.tsv' },
      labels,
      ...(template === undefined ? {} : { template }),
    },
    taskLm: './model',
    policyLm: './model',
    precision: { search: 'float32' },
    budget: { evaluations: 1500 },
  };
  await writeFile(join(folder, 'tiny.yaml'), JSON.stringify(config));
  // Prepared weights go beside the task.
  process.env.WHETSTONE_HOME = join(folder, 'home');
  return {
    folder,
    load: (...set) => loadConfig(join(folder, 'tiny.yaml'), { set }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

/** Rotary positions have no table, so that a longer window needs no other weights. */
async function lengthenContext(path: string): Promise<void> {
  const config = JSON.parse(await readFile(path, 'utf8'));
  await writeFile(path, JSON.stringify({ ...config, max_position_embeddings: 512 }));
}

function remarks(split: string, count: number): string[] {
  const rng = createRng(split);
  const first = { train: 'the food', validation: 'the room', test: 'the staff' }[split];
  return Array.from({ length: count }, (_, i) => {
    const words = Array.from({ length: 2 + rng.integer(4) }, () => WORDS[rng.integer(20)]);
    return `${first} was ${words.join(' ')} ${WORDS[i % WORDS.length]}\t${i % 2}`;
  });
}

export interface Searched extends Found {
  readonly reports: readonly StepReport[];
  readonly events: readonly RunEvent[];
}

/** A method's search alone, as a run does it. */
export async function searchTiny(task: TinyTask, ...set: string[]): Promise<Searched> {
  const loaded = await task.load(...set);
  const { config } = loaded;
  const { method, methodOptions } = methodOf(config);
  const bench = await Workbench.open(loaded, {});
  const reports: StepReport[] = [];
  const events: RunEvent[] = [];
  const watched = {
    ...method,
    async *run(...given: Parameters<typeof method.run>) {
      for await (const report of method.run(...given)) {
        const { state: _, ...said } = report;
        reports.push(said);
        yield report;
      }
    },
  };
  try {
    const emit = (event: RunEvent) => void events.push(event);
    const parts = { bench, config, method: watched, methodOptions, emit, signal: undefined };
    return { ...(await search(parts)), reports, events };
  } finally {
    await bench.close();
  }
}
