/** What models that answer in text were asked and what it took, by role. */
import { isFailure, type TextModel } from '../providers/text-model.ts';

export type Role = 'task' | 'policy' | 'judge';

/** Sums over all roles; `usd` is 0 for models that cost nothing. */
export interface Ledger {
  /** Requests that were computed or paid for. */
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  readonly usd: number;
  readonly retries: number;
  /** Requests answered from what was known. */
  readonly cached: number;
}

export const emptyLedger: Ledger = {
  calls: 0,
  inputTokens: 0,
  outputTokens: 0,
  usd: 0,
  retries: 0,
  cached: 0,
};

/** What was added since. */
export function since(now: Ledger = emptyLedger, before: Ledger = emptyLedger): Ledger {
  const keys = Object.keys(emptyLedger) as (keyof Ledger)[];
  return Object.fromEntries(keys.map((key) => [key, now[key] - before[key]])) as unknown as Ledger;
}

/** Counts what passes through the models it is given. */
export class Tally {
  private sums = { ...emptyLedger };

  get ledger(): Ledger {
    return { ...this.sums };
  }

  count(model: TextModel): TextModel {
    return {
      name: model.name,
      key: model.key,
      contextLength: model.contextLength,
      complete: async (requests, options) => {
        const completions = await model.complete(requests, options);
        for (const completion of completions) {
          if (isFailure(completion)) this.sums.calls++;
          else if (completion.isCached) this.sums.cached++;
          else {
            this.sums.calls++;
            this.sums.inputTokens += completion.inputTokens;
            this.sums.outputTokens += completion.outputTokens;
          }
        }
        return completions;
      },
      close: () => model.close(),
    };
  }
}
