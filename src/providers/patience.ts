/**
 * When a failed call is tried again, and when not. A server that asks for patience (429, overloaded)
 * is given it for as long as it answers anybody at all; other failures get a few tries; full jitter
 * between them (Brooker, "Exponential Backoff And Jitter", AWS 2015).
 */
import { NetworkError } from '../errors.ts';
import { formatSeconds } from '../util/format.ts';
import type { CallFailure } from './failures.ts';

export interface Patience {
  /** Tries of a call that fails without being asked to wait. */
  readonly attempts: number;
  /** Upper end of the first pause; doubles each time. */
  readonly backoffMs: number;
  readonly maxBackoffMs: number;
  /** Longest wait that we accept from a server, and longest time without any answer from it. */
  readonly maxWaitMs: number;
  /** Time until a whole answer must be there. */
  readonly timeoutMs: number;
}

export const defaultPatience: Patience = {
  attempts: 8,
  backoffMs: 500,
  maxBackoffMs: 30_000,
  maxWaitMs: 600_000,
  timeoutMs: 120_000,
};

export interface Tries {
  /** Failures so far of the kind that is counted, this one among them. */
  readonly failures: number;
  /** Refusals so far with a request for patience, this one among them. */
  readonly refusals: number;
  /** Since the model last answered anything, or since the call began if that is later. */
  readonly silentMs: number;
}

export type Verdict =
  /** Try again: nothing is sent to the server for `pauseMs`, and this call not for `ownMs`. */
  | { readonly pauseMs: number; readonly ownMs: number }
  /** Give up; `forAll`: every other request would fare alike. */
  | { readonly error: Error; readonly forAll: boolean };

export function judge(failure: CallFailure, tries: Tries, patience: Patience): Verdict {
  const { kind, error, afterMs } = failure;
  if (kind === 'all') return { error, forAll: true };
  if (kind === 'request' || kind === 'long') return { error, forAll: false };
  if (afterMs !== undefined && afterMs > patience.maxWaitMs) {
    const [asked, most] = [afterMs, patience.maxWaitMs].map((ms) => formatSeconds(ms / 1000));
    const sentence = `${error.message}; it asks to wait ${asked} and a run waits at most ${most}; start again later, answers so far are kept`;
    return { error: new NetworkError(sentence), forAll: true };
  }
  if (kind === 'limited') {
    if (tries.silentMs > patience.maxWaitMs) {
      const sentence = `${error.message}; nothing was answered for ${formatSeconds(tries.silentMs / 1000)}`;
      return { error: new NetworkError(sentence), forAll: true };
    }
  } else if (tries.failures >= patience.attempts) {
    const sentence = `${error.message}, gave up after ${tries.failures} tries`;
    return { error: new NetworkError(sentence), forAll: false };
  }
  const tried = kind === 'limited' ? tries.refusals : tries.failures;
  if (afterMs === undefined) return { pauseMs: 0, ownMs: fullJitter(tried, patience) };
  // A server that keeps saying "now" and refusing is not taken at its word.
  return { pauseMs: afterMs, ownMs: tried < 3 ? 0 : fullJitter(tried - 2, patience) };
}

function fullJitter(tried: number, { backoffMs, maxBackoffMs }: Patience): number {
  return Math.random() * Math.min(maxBackoffMs, backoffMs * 2 ** (tried - 1));
}
