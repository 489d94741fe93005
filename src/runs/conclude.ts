/**
 * How a run ends: finalists are scored again in float32 and chosen on train and validation; the test split
 * is opened once, for the one that was chosen and the human prompts beside it.
 */
import { type Method, type Solution, titleOf } from '../methods/index.ts';
import type { Precision } from '../models/prepared-weights.ts';
import { type AnyExample, sampleStratified } from '../tasks/index.ts';
import { createRng } from '../util/rng.ts';
import type { Bench } from './bench.ts';
import { bestOf, scoreSolutions, shortlist } from './choose.ts';
import type { Config } from './config.ts';
import type { OptimizeResult, ResultRow } from './events.ts';
import { splitScore } from './measure.ts';
import type { End, Pace } from './pace.ts';
import { type Chosen, priceOf } from './price.ts';
import { saveOwn } from './save-own.ts';
import type { Found } from './search.ts';
import type { RunStore, StoredPrompt } from './store.ts';
import { type Scoring, scoreOpen, type Yardsticks } from './yardsticks.ts';

/** Texts whose validation reward is looked at. */
const SEMIFINALISTS = 256;
/** Tokens of all those texts: of long ones (demonstrations) fewer are looked at. */
const SEMIFINAL_TOKENS = 8192;

/** Texts that are looked at, and that are scored again. */
type Lasts = Partial<Pick<End, 'semifinalists' | 'finalists'>>;

interface Conclusion extends Scoring {
  readonly config: Config;
  readonly found: Found;
  readonly yardsticks: Yardsticks;
  readonly end: Lasts;
  /** How many test examples there is time for at a pace. */
  readonly testExamples: (pace: Pace) => number;
  readonly method: Method;
  readonly runId: string;
  /** Seconds of work on the run so far. */
  readonly seconds: () => number;
  readonly store: RunStore;
}

/** Scores finalists afresh, chooses one, and opens the test split for it and for the yardsticks. */
export async function conclude(
  c: Conclusion,
): Promise<{ result: OptimizeResult; prompts: readonly StoredPrompt[] }> {
  const { found, yardsticks } = c;
  const { chosen, pace } = await chooseFinalist(c);

  const lines = [
    { label: 'an ordinary human prompt', ...yardsticks.ordinary },
    { label: `best of ${yardsticks.count} human prompts`, ...yardsticks.best },
    { label: c.method.name, ...chosen },
  ];
  const solutions = lines.map(({ solution }) => solution);
  const tested = await openTest(c, { solutions, size: c.testExamples(pace) });
  const rows: ResultRow[] = lines.map(({ label, solution, validation }, i) => ({
    method: label,
    prompt: titleOf(solution),
    validation: splitScore(validation),
    test: splitScore(tested[i]!),
    ...(validation.fluency ? { perplexity: validation.fluency.perplexity } : {}),
  }));
  const { test } = rows.at(-1)!;
  const untested = await describeChosen(c, chosen);
  for (const tensor of found.tensors) await tensor.close();
  const { ledger } = c.bench;
  const result: OptimizeResult = { ...untested, test, ledger, rows };
  return { result, prompts: [...poolPrompts(c), promptOf(result, chosen.train.reward)] };
}

/** What a run knows of its result before the test split is opened. */
export type Untested = Omit<OptimizeResult, 'test' | 'rows'>;

/** Scores the finalists afresh in float32 on the open splits and chooses one. */
export async function chooseFinalist(
  c: Scoring & Pick<Conclusion, 'config' | 'found'> & { readonly end?: Lasts },
): Promise<{ chosen: Chosen; pace: Pace }> {
  const { bench, found, emit } = c;
  emit({ kind: 'progress', phase: 'choosing finalists', done: 0, unit: 'rounds' });
  const { search: precision } = c.config.precision;
  const solutions = await finalistsOf(bench, found, { precision, ...c.end });
  const { scored, pace } = await scoreOpen(c, { what: 'finalists', solutions });
  const chosen = bestOf(scored);
  const prompt = titleOf(chosen.solution);
  emit({ kind: 'validation', prompt, validation: splitScore(chosen.validation) });
  return { chosen: { ...chosen, fluency: priceOf(chosen, scored, c.config.fluency) }, pace };
}

/** The chosen solution as it is recorded; a tensor is saved into the run's folder. */
export async function describeChosen(
  c: Pick<Conclusion, 'bench' | 'found' | 'method' | 'runId' | 'seconds' | 'store'>,
  { solution, train, validation, fluency }: Chosen,
): Promise<Untested> {
  const isText = solution.kind === 'text';
  const saved = isText ? [] : await saveOwn(c.store.artifactFolder(c.runId), solution.save);
  const files = [...c.found.files, ...saved];
  const template = isText ? solution.template : undefined;
  return {
    kind: 'result',
    method: c.method.name,
    kindOfResult: solution.kind,
    prompt: titleOf(solution),
    promptTokens: isText ? c.bench.tokensOf(solution.text, template) : [],
    ...(template === undefined ? {} : { template }),
    ...(files.length > 0 ? { files } : {}),
    train: splitScore(train),
    validation: splitScore(validation),
    ...(c.bench.metricName === undefined ? {} : { metric: c.bench.metricName }),
    ...(fluency ? { fluency } : {}),
    evaluations: c.found.evaluations,
    seconds: c.seconds(),
    runId: c.runId,
  };
}

/** The prompt of a result with its scores, as it is stored. */
export function promptOf(result: OptimizeResult, reward: number): StoredPrompt {
  const { prompt: text, promptTokens: tokens, train, validation, test } = result;
  return { text, tokens, reward, scores: { train, validation, test } };
}

/** Opens the test split, for the winner and the yardsticks alone. */
async function openTest(
  { bench, emit, signal }: Conclusion,
  { solutions, size }: { solutions: readonly Solution[]; size: number },
) {
  const all = bench.task.test.open();
  const examples = sampleStratified<AnyExample>(all, size, createRng('test sample'));
  const total = examples.length;
  if (total < all.length) {
    const message = `${total} of ${all.length} test examples are scored, so that the run ends in time`;
    emit({ kind: 'warning', message });
  }
  const report = (share: number) => {
    signal?.throwIfAborted();
    const phase = 'opening the sealed test split';
    emit({ kind: 'progress', phase, done: Math.round(share * total), total, unit: 'examples' });
  };
  report(0);
  return scoreSolutions(bench, solutions, examples, report);
}

/** In text every one of them costs a validation split's answers. */
export function semifinalists({ lmKind, choice }: Bench): number {
  return lmKind === 'text' ? 2 * choice.finalists : SEMIFINALISTS;
}

/** What goes into the last round: a shortlist of the texts, and every tensor. */
export async function finalistsOf(
  bench: Bench,
  { pool, tensors }: Found,
  {
    precision,
    finalists: count = bench.choice.finalists,
    semifinalists: most = semifinalists(bench),
  }: { precision: Precision } & Lasts,
): Promise<Solution[]> {
  let tokens = 0;
  const candidates = pool.top(most).filter(({ prompt, template }, i) => {
    tokens += (prompt.ids ?? bench.tokensOf(prompt.text, template)).length;
    return i < count || tokens <= SEMIFINAL_TOKENS;
  });
  const texts = await shortlist(bench, candidates, { precision, count });
  await bench.unload(precision);
  return [...texts, ...tensors];
}

/** The best texts of a search, as they are stored. */
export function poolPrompts({ bench, found }: Pick<Conclusion, 'bench' | 'found'>): StoredPrompt[] {
  return found.pool.top(64).map(({ prompt, reward, template }) => ({
    text: prompt.text,
    tokens: prompt.ids ?? bench.tokensOf(prompt.text, template),
    reward,
    scores: {},
  }));
}
