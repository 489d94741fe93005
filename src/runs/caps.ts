/**
 * Caps on tokens and money hold for a whole run, and a search that spent them all would leave nothing
 * to choose and to test with. What the end of a run takes is put aside before the search, judged by
 * what the human prompts took.
 */
import { BudgetError } from '../errors.ts';
import type { AnyTask } from '../tasks/index.ts';
import { formatCount } from '../util/format.ts';
import type { Bench, ChoiceLimits } from './bench.ts';
import type { Config } from './config.ts';

/** Calls of the task LM at most: shortlist, finalists on the open splits, three rows on test. */
export function callsAfterSearch(
  task: AnyTask,
  { trainExamples, finalists }: ChoiceLimits,
): number {
  const validation = task.validation.length;
  const open = Math.min(trainExamples, task.train.length) + validation;
  return 2 * finalists * Math.min(128, validation) + finalists * open + 3 * task.test.size;
}

/**
 * The configuration with caps that leave enough for the end; `share` of what is left is this
 * search's.
 * @throws BudgetError when that leaves nothing to search with
 */
export function withinCaps<C extends Config>(config: C, bench: Bench, share = 1): C {
  const { ledger } = bench;
  if (bench.lmKind !== 'text' || !ledger || ledger.calls === 0) return config;
  const end = callsAfterSearch(bench.task, bench.choice) / ledger.calls;
  const spent = { tokens: ledger.inputTokens + ledger.outputTokens, usd: ledger.usd ?? 0 };
  const capFor = (key: 'tokens' | 'usd') => {
    const cap = config.budget[key];
    if (cap === undefined || cap === 0 || spent[key] === 0) return cap;
    const left = share * (cap - spent[key]) - end * spent[key];
    if (left > 0) return left;
    const show = (amount: number) =>
      key === 'usd' ? `$${amount.toFixed(4)}` : formatCount(Math.ceil(amount));
    throw new BudgetError(
      `budget.${key}: of ${show(cap)} the human prompts took ${show(spent[key])} and choosing and testing may take ${show(end * spent[key])} more, nothing is left to search with; raise budget.${key} or lower task.maxExamples`,
    );
  };
  return { ...config, budget: { ...config.budget, tokens: capFor('tokens'), usd: capFor('usd')! } };
}
