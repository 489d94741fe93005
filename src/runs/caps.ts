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

/** Calls of the task LM at most: shortlist, finalists on the open splits, three rows on test. */
export function callsAfterSearch(
  task: AnyTask,
  { trainExamples, finalists }: ChoiceLimits,
): number {
  const validation = task.validation.length;
  const open = Math.min(trainExamples, task.train.length) + validation;
  return 2 * finalists * Math.min(128, validation) + finalists * open + 3 * task.test.size;
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

/**
 * Puts aside what the end of a run takes; `share` of what is left then is this search's.
 * @throws BudgetError when that leaves nothing to search with
 */
export function withinCaps(limits: readonly Limits[], bench: Bench, share = 1): Capped {
  const { ledger, task, taskCalls, spent } = bench;
  const free = { limits, release: () => {} };
  if (!bench.putAside || !taskCalls || !spent) return free;
  const sofar = totalsOf(ledger);
  const calls = MARGIN * callsAfterSearch(task, bench.choice);
  // Other roles' part in it counts: every answer of a task LM may be judged by another LM.
  const perCall = (key: keyof Totals) => sofar[key] / taskCalls;
  // The last call is sent only where its worst case fits, too.
  const longest = task.kind === 'text' ? 4 * task.maxAnswerTokens : 0;
  const worst = 1 + longest / Math.max(1, sofar.tokens / ledger.calls);
  const endOf = (budget: Config['budget'], key: keyof Totals) =>
    (budget[key] && key !== 'calls' ? calls + worst : calls) * perCall(key);
  const capFor = (budget: Config['budget'], key: keyof Totals) => {
    const cap = budget[key];
    if (cap === undefined || cap === 0) return cap;
    const end = endOf(budget, key);
    const left = share * (cap - spent[key]) - end;
    if (left > 0) return left;
    const show = (amount: number) =>
      key === 'usd' ? `$${amount.toFixed(4)}` : formatCount(Math.ceil(amount));
    throw new BudgetError(
      `budget.${key}: ${show(spent[key])} of ${show(cap)} are spent and choosing and testing may take ${show(end)}, nothing is left to search with; raise budget.${key} or lower task.maxExamples`,
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
