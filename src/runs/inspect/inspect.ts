/**
 * The nature of a prompt: how likely it is as a text, what each of its tokens is worth, whether their
 * order matters, what a fluent text in its place would cost, and how it fares under other models.
 *
 * Everything is measured in float32 on train and validation together; the test split stays sealed.
 */
import type { PromptScore } from '../../environment/index.ts';
import { ConfigError } from '../../errors.ts';
import { type LanguageModel, loadEmbeddings } from '../../models/index.ts';
import type { Example } from '../../tasks/index.ts';
import { createRng, type Rng } from '../../util/rng.ts';
import { visible } from '../../util/text.ts';
import type { LoadedConfig } from '../config.ts';
import type { OnEvent } from '../events.ts';
import { splitScore } from '../measure.ts';
import { Workbench } from '../workbench.ts';
import { likelinessOf } from './likeliness.ts';
import { type NearToken, nearestTokens } from './nearest.ts';
import type { InspectedToken, InspectResult, TransferRow } from './result.ts';
import { bestRewrite, fluentRewrites, type Rewrites } from './rewrite.ts';
import { difference, orderOf, scoreAll, taskReward } from './scores.ts';
import { transferTo } from './transfer.ts';
import { permutations, withoutEach } from './variants.ts';
import { dictionaryShare, wordsOf } from './words.ts';

export interface InspectOptions {
  readonly prompt: string;
  /** Other task LMs: names or paths. */
  readonly models?: readonly string[] | undefined;
  /** Most perplexity of a rewrite. @default the configuration's, else the human prompts' median */
  readonly maxPerplexity?: number | undefined;
  /** Most examples of train and validation together, drawn by the seed. @default 500 */
  readonly maxExamples?: number | undefined;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const MAX_EXAMPLES = 500;
const PERMUTATIONS = 8;
const NEAREST = 4;

/** What the steps of an inspection share. */
interface Inspection {
  readonly bench: Workbench;
  readonly loaded: LoadedConfig;
  readonly options: InspectOptions;
  readonly rng: Rng;
  /** The prompt's ids under the task LM, in its place. */
  readonly ids: readonly number[];
  /** Says what is being done. */
  phase(phase: string, done?: number, total?: number): void;
}

/** @throws ConfigError for an empty prompt, one with a mask, or one that does not fit the task LM */
export async function inspect(
  loaded: LoadedConfig,
  options: InspectOptions,
): Promise<InspectResult> {
  const { prompt, onEvent, signal } = options;
  if (prompt.trim() === '') {
    throw new ConfigError('the prompt is empty, give at least one word to inspect');
  }
  const started = performance.now();
  const onProgress = (progress: { phase: string; done: number; unit: string }) =>
    onEvent?.({ kind: 'progress', ...progress });
  const bench = await Workbench.open(loaded, { onProgress, signal });
  try {
    const inspection: Inspection = {
      bench,
      loaded,
      options,
      rng: createRng(loaded.config.seed).fork('inspect'),
      ids: bench.layout().prompt(prompt),
      phase(phase, done = 0, total) {
        signal?.throwIfAborted();
        onProgress({ phase, done, ...(total === undefined ? {} : { total }), unit: 'prompts' });
      },
    };
    const found = await inspectWith(inspection);
    return { ...found, seconds: (performance.now() - started) / 1000 };
  } finally {
    await bench.close();
  }
}

async function inspectWith(i: Inspection): Promise<Omit<InspectResult, 'seconds'>> {
  const { bench, options, rng, ids } = i;
  const { prompt } = options;
  const { task, taskLm } = bench;
  refuseMask(bench, ids);
  warnOfSpecialTokens(i);
  i.phase('reading the prompt');
  const likeliness = await likelinessOf(bench, prompt, ids);
  const { nearest, rewrites } = await readTables(i);

  const examples = drawExamples(i);
  const environment = bench.environment(examples, 'float32');
  const without = withoutEach(ids, taskLm.tokenizer);
  const orders = permutations(ids, taskLm.tokenizer, {
    rng: rng.fork('order'),
    count: PERMUTATIONS,
  });
  const scores = await scoreAll(
    environment,
    [prompt, '', ...without, ...orders, ...rewrites.texts],
    {
      onDone: (done, total) => i.phase('scoring variants in float32', done, total),
      signal: options.signal,
    },
  );
  await environment.close();
  await bench.unload('float32');

  const own = scores.get(prompt)!;
  const empty = scores.get('')!;
  const compare = (a: PromptScore, b: PromptScore) =>
    difference(a, b, { examples, rng: rng.fork('intervals') });
  const tokens = ids.map((id, t): InspectedToken => {
    const other = scores.get(without[t]!)!;
    const { difference: importance, interval } = compare(own, other);
    return {
      token: taskLm.tokenizer.tokenText(id),
      id,
      isSpecial: taskLm.tokenizer.isSpecial(id),
      logProb: likeliness.tokens[t]!,
      importance,
      interval,
      rewardImportance: taskReward(own) - taskReward(other),
      nearest: nearest[t]!.map((near) => ({
        token: taskLm.tokenizer.tokenText(near.id),
        cosine: near.cosine,
      })),
    };
  });
  const fluentRewrite = bestRewrite(rewrites, scores, { own, compare });
  const policyLm = await bench.policyLm();
  const words = wordsOf(withoutSpecial(i), policyLm.tokenizer);
  const texts = [prompt, '', ...(fluentRewrite ? [fluentRewrite.prompt] : [])];
  const first = texts.map((text) => splitScore(scores.get(text)!));
  const transfer = await transferRows(i, { examples, texts });
  return {
    kind: 'result',
    prompt,
    task: task.name,
    taskLm: taskLm.name,
    policyLm: policyLm.name,
    examples: countExamples(bench, examples),
    score: splitScore(own),
    reward: taskReward(own),
    empty: splitScore(empty),
    perplexity: likeliness.perplexity,
    tokens,
    dictionaryShare: dictionaryShare(words),
    words,
    order: orderOf(orders.map((text) => scores.get(text)!)),
    perplexityLimit: rewrites.limit,
    humanPerplexity: rewrites.humanPerplexity,
    rewrites: { proposed: rewrites.proposed, fluent: rewrites.texts.length },
    fluentRewrite,
    transfer: [rowOf(taskLm.name, first), ...transfer.rows],
    evaluations: environment.evaluations + transfer.evaluations,
  };
}

/** What the embedding tables tell: the tokens' neighbours, and rewrites made of them. */
async function readTables(
  i: Inspection,
): Promise<{ nearest: readonly NearToken[][]; rewrites: Rewrites }> {
  const { bench, options, rng, ids, loaded } = i;
  const { tokenizer } = bench.taskLm;
  const table = await loadEmbeddings(bench.taskLm);
  const nearest = await nearestTokens(ids, table, {
    count: NEAREST,
    accept: (id) => id < tokenizer.size && !tokenizer.isSpecial(id),
  });
  i.phase('proposing fluent rewrites');
  const policyLm: LanguageModel = await bench.policyLm();
  const embeddings = policyLm === bench.taskLm ? table : await loadEmbeddings(policyLm);
  const rewrites = await fluentRewrites(bench, options.prompt, {
    embeddings,
    rng: rng.fork('rewrite'),
    limit: options.maxPerplexity ?? loaded.config.fluency.maxPerplexity,
  });
  await table.unload();
  if (embeddings !== table) await embeddings.unload();
  return { nearest, rewrites };
}

/** Train and validation, or as many of them as are wanted. */
function drawExamples({ bench, options, rng }: Inspection): Example[] {
  const { train, validation } = bench.task;
  const all = [...train, ...validation];
  const most = options.maxExamples ?? MAX_EXAMPLES;
  return all.length <= most ? all : rng.fork('examples').shuffle(all).slice(0, most);
}

function countExamples({ task }: Workbench, examples: readonly Example[]) {
  const train = new Set(task.train);
  const ofTrain = examples.filter((example) => train.has(example)).length;
  return { train: ofTrain, validation: examples.length - ofTrain, sealedTest: task.test.size };
}

/** The other models' rows, in the order asked for. */
async function transferRows(
  { bench, loaded, options, phase }: Inspection,
  { examples, texts }: { examples: readonly Example[]; texts: readonly string[] },
): Promise<{ rows: TransferRow[]; evaluations: number }> {
  const rows: TransferRow[] = [];
  let evaluations = 0;
  for (const name of options.models ?? []) {
    phase(`opening ${name}`);
    const found = await transferTo(name, texts, {
      bench,
      loaded,
      examples,
      onProgress: (progress) => options.onEvent?.({ kind: 'progress', ...progress }),
      signal: options.signal,
    });
    if ('cause' in found) rows.push({ ...rowOf(name, []), cause: found.cause });
    else {
      rows.push(rowOf(name, found.scores));
      evaluations += found.evaluations;
    }
  }
  return { rows, evaluations };
}

function rowOf(model: string, scores: readonly TransferRow['score'][]): TransferRow {
  const [score = null, empty = null, rewrite = null] = scores;
  return { model, score, rewrite, empty };
}

/** The answer is read at the mask: a second one leaves open where. */
function refuseMask({ taskLm }: Workbench, ids: readonly number[]): void {
  const { mask } = taskLm.tokenizer.special;
  if (taskLm.config.kind === 'masked' && mask !== undefined && ids.includes(mask)) {
    throw new ConfigError(
      `the prompt holds the mask token of ${taskLm.name}, which stands where the answer is read, take it out`,
    );
  }
}

/** As they are written; each once. */
function specialTokens({ bench, ids }: Inspection): string[] {
  const { tokenizer } = bench.taskLm;
  const special = [...new Set(ids)].filter((id) => tokenizer.isSpecial(id));
  return special.map((id) => tokenizer.decode([id], { keepSpecialTokens: true }).trim());
}

/** The prompt's own words: names of special tokens are none. */
function withoutSpecial(i: Inspection): string {
  return specialTokens(i).reduce((text, name) => text.replaceAll(name, ' '), i.options.prompt);
}

function warnOfSpecialTokens(i: Inspection): void {
  const names = specialTokens(i);
  if (names.length === 0) return;
  const message = `the prompt holds ${visible(names.join(', '))}, which the task LM reads as special tokens and not as text`;
  i.options.onEvent?.({ kind: 'warning', message });
}
