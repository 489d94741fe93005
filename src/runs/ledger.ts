/** What models that answer in text took: one ledger a run, over all roles together. */

import { NetworkError } from '../errors.ts';
import {
  type CompleteOptions,
  type Completion,
  estimateTokens,
  type Failure,
  isFailure,
  Ledger,
  type LedgerLine,
  type Outcome,
  type Outcomes,
  type Role,
  responseKey,
  type TextModel,
  type TextRequest,
  type Totals,
} from '../providers/index.ts';
import type { Config } from './config.ts';

/** Where no model that answers in text was asked. */
export const nothingAsked: LedgerLine = {
  calls: 0,
  inputTokens: 0,
  outputTokens: 0,
  usd: 0,
  retries: 0,
  cached: 0,
};

/** Under the caps of a budget. Money is capped always: none is spent that was not allowed. */
export function ledgerOf({ calls, tokens, usd }: Config['budget']): Ledger {
  return new Ledger({ calls, tokens, usd });
}

/** A line as caps count it: an unknown price counts nothing. */
export function totalsOf({ calls, inputTokens, outputTokens, usd }: LedgerLine): Totals {
  return { calls, tokens: inputTokens + outputTokens, usd: usd ?? 0 };
}

/** What was added since. */
export function since(now: LedgerLine, before: LedgerLine): LedgerLine {
  const count = (key: Exclude<keyof LedgerLine, 'usd'>) => now[key] - before[key];
  return {
    calls: count('calls'),
    inputTokens: count('inputTokens'),
    outputTokens: count('outputTokens'),
    usd: now.usd === null || before.usd === null ? null : now.usd - before.usd,
    retries: count('retries'),
    cached: count('cached'),
  };
}

/** Requests of a model in this process that are let through together under a cap of calls or tokens. */
const CHUNK = 32;

/** A model that costs tokens and no money: computed in this process, or a library user's own. */
export function counted(
  model: TextModel,
  { ledger, role, outcomes }: { ledger: Ledger; role: Role; outcomes?: Outcomes | undefined },
): TextModel {
  const through = async (requests: readonly TextRequest[], options: CompleteOptions) => {
    const most = requests.reduce(
      (sum, { messages, maxTokens }) => sum + estimateTokens(messages).most + maxTokens,
      0,
    );
    // The worst case is held while the requests are under way, and what they took is entered after.
    const cost = { inputTokens: most, outputTokens: 0, usd: 0 };
    const held = await ledger.reserve(role, cost, options.signal, requests.length);
    try {
      return await model.complete(requests, options);
    } finally {
      held.release();
    }
  };
  const enter = async (answer: Completion | Failure) => {
    if (!isFailure(answer) && answer.isCached) return ledger.cached(role);
    const { inputTokens, outputTokens } = isFailure(answer)
      ? { inputTokens: 0, outputTokens: 0 }
      : answer;
    const cost = { inputTokens, outputTokens, usd: 0 };
    (await ledger.reserve(role, cost)).settle(cost);
  };
  return {
    name: model.name,
    key: model.key,
    contextLength: model.contextLength,
    async complete(requests, options = {}) {
      const isCapped = ledger.caps.tokens !== undefined || ledger.caps.calls !== undefined;
      const size = isCapped ? CHUNK : Math.max(1, requests.length);
      const answers: (Completion | Failure)[] = [];
      for (let i = 0; i < requests.length; i += size) {
        const before = answers.length;
        const chunk = requests.slice(i, i + size);
        const keys = chunk.map((request) => `${role} ${responseKey(model.key, request)}`);
        const some = keys.map((key) => recalled(key, outcomes));
        const asked = [...some.keys()].filter((at) => !some[at]);
        if (asked.length > 0) {
          const given = await through(
            asked.map((at) => chunk[at]!),
            {
              ...options,
              onProgress: (done, waitingFor) => options.onProgress?.(before + done, waitingFor),
              onText:
                options.onText && ((at, piece) => options.onText!(before + asked[at]!, piece)),
              isWanted: options.isWanted && ((at) => options.isWanted!(before + asked[at]!)),
            },
          );
          outcomes?.keep(given.map((answer, i) => [keys[asked[i]!]!, outcomeOf(answer)]));
          for (const [i, answer] of given.entries()) some[asked[i]!] = answer;
        }
        for (const answer of some) {
          await enter(answer!);
          answers.push(answer!);
        }
      }
      return answers;
    },
    close: () => model.close(),
  };
}

/** What came of a question, or nothing where it is asked for the first time. */
function recalled(key: string, outcomes: Outcomes | undefined): Completion | Failure | undefined {
  const outcome = outcomes?.recall(key);
  if (!outcome) return undefined;
  return 'answer' in outcome
    ? outcome.answer
    : { error: new NetworkError(outcome.failure.message) };
}

function outcomeOf(answer: Completion | Failure): Outcome {
  const paid = { costs: [], forfeited: [], retries: 0 };
  if (!isFailure(answer)) return { answer, ...paid };
  return { failure: { kind: 'request', message: answer.error.message }, ...paid };
}
