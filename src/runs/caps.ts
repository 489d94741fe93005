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

/** A search under caps: its configuration, and what ends the holding back of the rest. */
export interface Capped<C extends Config> {
  readonly config: C;
  release(): void;
}

/** Estimates are off by as much. */
const MARGIN = 1.1;

/**
 * Puts aside what the end of a run takes; `share` of what is left then is this search's.
 * @throws BudgetError when that leaves nothing to search with
 */
export function withinCaps<C extends Config>(config: C, bench: Bench, share = 1): Capped<C> {
  const { ledger, task } = bench;
  const free = { config, release: () => {} };
  if (!bench.putAside || ledger.calls === 0) return free;
  const calls = MARGIN * callsAfterSearch(task, bench.choice);
  const spent = { tokens: ledger.inputTokens + ledger.outputTokens, usd: ledger.usd ?? 0 };
  const perCall = { tokens: spent.tokens / ledger.calls, usd: spent.usd / ledger.calls };
  const end = { tokens: calls * perCall.tokens, usd: calls * perCall.usd };
  // The last call is sent only where its worst case fits, too.
  const longest = task.kind === 'text' ? 4 * task.maxAnswerTokens : 0;
  const worst = 1 + longest / Math.max(1, perCall.tokens);
  const capFor = (key: 'tokens' | 'usd') => {
    const cap = config.budget[key];
    if (cap === undefined || cap === 0) return cap;
    end[key] += worst * perCall[key];
    const left = share * (cap - spent[key]) - end[key];
    if (left > 0) return left;
    const show = (amount: number) =>
      key === 'usd' ? `$${amount.toFixed(4)}` : formatCount(Math.ceil(amount));
    throw new BudgetError(
      `budget.${key}: ${show(spent[key])} of ${show(cap)} are spent and choosing and testing may take ${show(end[key])}, nothing is left to search with; raise budget.${key} or lower task.maxExamples`,
    );
  };
  const [tokens, usd] = [capFor('tokens'), capFor('usd')!];
  return {
    config: { ...config, budget: { ...config.budget, tokens, usd } },
    release: bench.putAside({ tokens: Math.ceil(end.tokens), usd: end.usd }),
  };
}
