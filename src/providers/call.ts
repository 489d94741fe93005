/** One request to a model behind an API until it is answered or given up: another try where that may help. */
import { setTimeout as sleep } from 'node:timers/promises';
import { isAbort, type WhetstoneError } from '../errors.ts';
import { formatSeconds } from '../util/format.ts';
import { Attempt, type BatchSignals, type Line, type Tell } from './attempt.ts';
import { CallFailure, tooLong } from './failures.ts';
import { judge } from './patience.ts';
import type { Completion, TextRequest } from './text-model.ts';
import { estimateTokens } from './token-estimate.ts';

/** A failure that every other request to the model would meet too. */
export class Hopeless extends Error {
  readonly error: Error;
  constructor(error: Error) {
    super(error.message);
    this.error = error;
  }
}

/**
 * The answer to one request, streamed where somebody is told its pieces. Once one was told there is no
 * other try.
 * @throws CallFailure when this request has none; Hopeless; BudgetError; the standard AbortError
 */
export async function ask(
  line: Line,
  request: TextRequest,
  batch: BatchSignals,
  tell?: Tell,
): Promise<Completion> {
  const { scheduler, ledger, role, patience } = line;
  refuseLong(line, request);
  const release = await scheduler.slot(batch.halt);
  try {
    const begun = performance.now();
    const estimate = estimateTokens(request.messages);
    let failures = 0;
    let refusals = 0;
    for (;;) {
      try {
        return await new Attempt(line, request, { estimate, batch, tell }).run();
      } catch (error) {
        if (!(error instanceof CallFailure)) throw error;
        if (error.kind === 'limited') refusals++;
        else failures++;
        const silentMs = performance.now() - Math.max(begun, scheduler.lastAnswerAt);
        const verdict = judge(error, { failures, refusals, silentMs }, patience);
        if ('error' in verdict) {
          if (verdict.forAll) throw new Hopeless(verdict.error);
          throw new CallFailure(error.kind, verdict.error as WhetstoneError);
        }
        ledger.retried(role);
        await wait(line, error, verdict, batch.halt);
      }
    }
  } finally {
    release();
  }
}

/** Some servers cut without a word what is longer than their window. */
function refuseLong({ who, contextLength }: Line, { messages, maxTokens }: TextRequest): void {
  if (contextLength === undefined) return;
  const input = estimateTokens(messages).likely;
  if (input + maxTokens <= contextLength) return;
  throw tooLong(who.name, { input, output: maxTokens }, ` of ${contextLength} tokens`);
}

async function wait(
  { scheduler, who }: Line,
  failure: CallFailure,
  { pauseMs, ownMs }: { readonly pauseMs: number; readonly ownMs: number },
  halt: AbortSignal,
): Promise<void> {
  halt.throwIfAborted();
  if (pauseMs > 0) scheduler.pause(pauseMs); // the gate keeps this call back with all others
  if (ownMs === 0) return;
  if (ownMs > 1000) {
    const what = failure.kind === 'limited' ? `rate limit of ${scheduler.name}` : failure.message;
    scheduler.tell(`${who.redact(what)}, ${formatSeconds(ownMs / 1000)}`);
  }
  await sleep(ownMs, undefined, { signal: halt }).catch((error: unknown) => {
    throw isAbort(error) ? halt.reason : error;
  });
}
