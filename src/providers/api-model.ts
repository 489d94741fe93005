/**
 * A `TextModel` over an API: answers from the cache, each different question asked once, as many
 * side by side as the scheduler lets, every answer kept the moment it is there. What one request
 * suffers stays with it; what no request can escape ends the batch, after what is under way.
 */
import { once, setMaxListeners } from 'node:events';
import { isAbort, NetworkError, WhetstoneError } from '../errors.ts';
import { ask, type BatchSignals, Hopeless, type Line } from './call.ts';
import { CallFailure } from './failures.ts';
import { type Ask, type ResponseCache, responseKey } from './response-cache.ts';
import type { CompleteOptions, Completion, Failure } from './text-model.ts';

/** Failures in a row, of calls that nothing cures, after which a batch is given up. */
const FAILURES_IN_A_ROW = 10;

/** A model as its batches see it. */
export interface ApiLm {
  readonly line: Line;
  /** The model's key. */
  readonly key: string;
  readonly cache: ResponseCache;
  /** Questions that are being asked, so that batches side by side pay for each once. */
  readonly asking: Map<string, Promise<Completion>>;
}

/** Answers in the order of the requests; throws as `TextModel.complete` does. */
export async function answerAll(
  { line, key, cache, asking }: ApiLm,
  requests: readonly Ask[],
  options: CompleteOptions = {},
): Promise<(Completion | Failure)[]> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const answers = new Array<Completion | Failure>(requests.length);
  const questions = group(requests, key);
  const halt = new AbortController();
  setMaxListeners(0, halt.signal);
  const underWay = new Set<AbortController>();
  let next = 0;
  let done = 0;
  let inARow = 0;
  let end: Error | undefined;

  const place = (answer: Completion | Failure, places: readonly number[]) => {
    const again = 'error' in answer ? answer : { ...answer, isCached: true };
    places.forEach((at, i) => {
      answers[at] = i === 0 ? answer : again;
      if (i > 0 && !('error' in answer)) line.ledger.cached(line.role);
    });
    done += places.length;
    onProgress?.(done, line.scheduler.waitingFor());
  };
  const finish = (error: Error) => {
    end ??= error;
    halt.abort(end);
  };

  const askAndKeep = async (q: Question, signals: BatchSignals) => {
    const answer = await ask(line, q.request, signals);
    await cache.set(q.key, answer);
    return answer;
  };

  const worker = async () => {
    for (let q = questions[next++]; q && !end; q = questions[next++]) {
      try {
        let kept = await cache.get(q.key);
        const theirs = kept ? undefined : asking.get(q.key);
        if (theirs) kept = await shared(theirs, halt.signal);
        if (kept) {
          line.ledger.cached(line.role);
          place({ ...kept, isCached: true }, q.places);
          continue;
        }
        const ours = askAndKeep(q, { halt: halt.signal, underWay });
        asking.set(q.key, ours);
        const answer = await ours.finally(() => asking.delete(q.key));
        inARow = 0;
        place(answer, q.places);
      } catch (error) {
        if (!(error instanceof CallFailure)) {
          finish(error instanceof Hopeless ? error.error : (error as Error));
          return;
        }
        place({ error: error.error }, q.places);
        if (error.kind !== 'long' && ++inARow >= FAILURES_IN_A_ROW) {
          finish(new NetworkError(`${error.message} (${inARow} requests in a row failed)`));
        }
      }
    }
  };

  const stop = () => {
    finish(signal!.reason as Error);
    for (const controller of underWay) controller.abort(signal!.reason);
  };
  signal?.addEventListener('abort', stop, { once: true });
  const unwatch = onProgress && line.scheduler.watch((reason) => onProgress(done, reason));
  try {
    const count = Math.min(line.scheduler.concurrency, questions.length);
    await Promise.all(Array.from({ length: count }, worker));
  } finally {
    signal?.removeEventListener('abort', stop);
    unwatch?.();
  }
  signal?.throwIfAborted();
  if (end) throw end instanceof WhetstoneError || isAbort(end) ? end : internal(end);
  return answers;
}

/** The answer that another batch is just getting; undefined where it gets none. */
function shared(theirs: Promise<Completion>, halt: AbortSignal): Promise<Completion | undefined> {
  const halted = once(halt, 'abort').then(() => Promise.reject(halt.reason));
  return Promise.race([theirs.catch(() => undefined), halted]);
}

interface Question {
  readonly key: string;
  readonly request: Ask;
  /** Where its answer goes. */
  readonly places: number[];
}

function group(requests: readonly Ask[], key: string): Question[] {
  const questions = new Map<string, Question>();
  requests.forEach((request, at) => {
    const id = responseKey(key, request);
    const known = questions.get(id);
    if (known) known.places.push(at);
    else questions.set(id, { key: id, request, places: [at] });
  });
  return [...questions.values()];
}

function internal(error: Error): WhetstoneError {
  return new WhetstoneError(`internal: ${error.message}`, { cause: error });
}
