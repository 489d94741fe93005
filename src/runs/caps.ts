/**
 * Caps on calls, tokens and money hold for a whole run, and a search that spent them all would leave nothing
 * to choose and to test with. What the end of a run takes is put aside before the search, judged by
 * what the human prompts took.
 */
import { BudgetError } from '../errors.ts';
import type { Totals } from '../providers/index.ts';
import type { AnyTask } from '../tasks/index.ts';
import { formatCount } from '../util/format.ts';
import type { Bench, ChoiceLimits } from './bench.ts';
import type { Config } from './config.ts';
import { totalsOf } from './ledger.ts';
import type { BranchOrigin } from './store.ts';

/** Rows of a run that see the test split: what was found and two human prompts. */
const TESTED = 3;

/** Calls of the task LM at most: shortlist, finalists on the open splits, rows on test. */
export function callsAfterSearch(
  task: AnyTask,
  { trainExamples, finalists }: ChoiceLimits,
  tested = TESTED,
): number {
  const validation = task.validation.length;
  const open = Math.min(trainExamples, task.train.length) + validation;
  return 2 * finalists * Math.min(128, validation) + finalists * open + tested * task.test.size;
}

/** Limits of a search, and the last step that they hold for. */
export interface Limits {
  readonly step: number;
  readonly budget: Config['budget'];
}

/** The limits of a run in the order of its steps: its own, after those that a branch began with. */
export function limitsOf(
  { budget }: Pick<Config, 'budget'>,
  branch?: BranchOrigin,
): readonly Limits[] {
  const earlier = branch ? [...(branch.earlier ?? []), branch] : [];
  return [...(earlier as readonly Limits[]), { step: Number.POSITIVE_INFINITY, budget }];
}

/** A search under caps: its limits, and what ends the holding back of the rest. */
export interface Capped {
  readonly limits: readonly Limits[];
  release(): void;
}

/** Estimates are off by as much. */
const MARGIN = 1.1;

/** How many runs have the caps together, of which each has an equal part. */
export interface CappedRuns {
  readonly runs: number;
  /** Prompts of each that see the test split. */
  readonly tested: number;
  /** What a call of the task LM takes, with what other LMs have to do with it. */
  readonly perCall: Totals | undefined;
}

/** As measured so far: every answer of a task LM may be judged by another LM. */
export function costOfCall({ ledger, taskCalls }: Bench): Totals | undefined {
  if (!taskCalls) return undefined;
  const { calls, tokens, usd } = totalsOf(ledger);
  return { calls: calls / taskCalls, tokens: tokens / taskCalls, usd: usd / taskCalls };
}

/**
 * Puts aside what the end of a run takes: the rest of its part is the search's.
 * @throws BudgetError when that leaves nothing to search with
 */
export function withinCaps(
  limits: readonly Limits[],
  bench: Bench,
  { runs, tested, perCall }: CappedRuns = { runs: 1, tested: TESTED, perCall: costOfCall(bench) },
): Capped {
  const { task, spent } = bench;
  const free = { limits, release: () => {} };
  if (!bench.putAside || !perCall || !spent) return free;
  const calls = MARGIN * callsAfterSearch(task, bench.choice, tested);
  // The last call is sent only where its worst case fits, too.
  const longest = task.kind === 'text' ? 4 * task.maxAnswerTokens : 0;
  const worst = 1 + longest / Math.max(1, perCall.tokens / perCall.calls);
  const endOf = (budget: Config['budget'], key: keyof Totals) =>
    (budget[key] && key !== 'calls' ? calls + worst : calls) * perCall[key];
  const capFor = (budget: Config['budget'], key: keyof Totals) => {
    const cap = budget[key];
    if (cap === undefined || cap === 0) return cap;
    const end = endOf(budget, key);
    // The answers that others have paid for are in nobody's part: it is the same for the first and the last.
    const left = runs === 1 ? cap - spent[key] - end : Math.min(cap / runs, cap - spent[key]) - end;
    if (left > 0) return left;
    const show = (amount: number) =>
      key === 'usd' ? `$${amount.toFixed(4)}` : formatCount(Math.ceil(amount));
    const part = runs === 1 ? '' : `, each of ${runs} runs has ${show(cap / runs)}`;
    throw new BudgetError(
      `budget.${key}: ${show(spent[key])} of ${show(cap)} are spent${part} and choosing and testing may take ${show(end)}, nothing is left to search with; raise budget.${key} or lower task.maxExamples`,
    );
  };
  const { budget: last } = limits.at(-1)!;
  return {
    limits: limits.map(({ step, budget }) => {
      const usd = capFor(budget, 'usd')!;
      const [calls, tokens] = [capFor(budget, 'calls'), capFor(budget, 'tokens')];
      return { step, budget: { ...budget, calls, tokens, usd } };
    }),
    release: bench.putAside({
      calls: Math.ceil(endOf(last, 'calls')),
      tokens: Math.ceil(endOf(last, 'tokens')),
      usd: endOf(last, 'usd'),
    }),
  };
}
