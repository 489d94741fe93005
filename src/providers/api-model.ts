/**
 * A `TextModel` over an API: answers from the cache, each different question asked once, as many
 * side by side as the scheduler lets, every answer kept the moment it is there. What one request
 * suffers stays with it; what no request can escape ends the batch, after what is under way.
 */
import { once, setMaxListeners } from 'node:events';
import { isAbort, NetworkError, WhetstoneError } from '../errors.ts';
import type { Line } from './attempt.ts';
import { ask, Hopeless } from './call.ts';
import { CallFailure } from './failures.ts';
import { tapped } from './paid.ts';
import { type Outcomes, type ResponseCache, responseKey } from './response-cache.ts';
import type { CompleteOptions, Completion, Failure, TextRequest } from './text-model.ts';

/** Failures in a row, of calls that nothing cures, after which a batch is given up. */
const FAILURES_IN_A_ROW = 10;

/** So long are answers waited for that somebody keeps, once the batch is stopped. */
const GRACE_MS = 5000;

/** A model as its batches see it. */
export interface ApiLm {
  readonly line: Line;
  /** The model's key. */
  readonly key: string;
  readonly cache: ResponseCache;
  readonly outcomes?: Outcomes | undefined;
  /** Questions that are being asked, so that batches side by side pay for each once. */
  readonly asking: Map<string, Promise<Completion>>;
  /** Questions that have failed: asked again, they say nothing new of the model by failing again. */
  readonly failed: Set<string>;
}

/** Answers in the order of the requests; throws as `TextModel.complete` does. */
export async function answerAll(
  lm: ApiLm,
  requests: readonly TextRequest[],
  options: CompleteOptions = {},
): Promise<readonly (Completion | Failure)[]> {
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const batch = new Batch(lm, requests, options);
  const stop = () => batch.stop(signal!.reason);
  signal?.addEventListener('abort', stop, { once: true });
  const unwatch = onProgress && lm.line.scheduler.watch((why) => onProgress(batch.done, why));
  try {
    await batch.run();
  } finally {
    signal?.removeEventListener('abort', stop);
    unwatch?.();
  }
  signal?.throwIfAborted();
  return batch.answers;
}

/** The requests of one `complete`, while they are answered. */
class Batch {
  readonly answers: (Completion | Failure)[];
  done = 0;
  readonly #lm: ApiLm;
  readonly #questions: readonly Question[];
  readonly #onProgress: CompleteOptions['onProgress'];
  readonly #onText: CompleteOptions['onText'];
  readonly #halt = new AbortController();
  readonly #underWay = new Set<AbortController>();
  #next = 0;
  #failuresInARow = 0;
  #end: Error | undefined;
  #grace: NodeJS.Timeout | undefined;

  constructor(
    lm: ApiLm,
    requests: readonly TextRequest[],
    { onProgress, onText }: CompleteOptions,
  ) {
    this.#lm = lm;
    this.#questions = group(requests, lm.key);
    this.#onProgress = onProgress;
    this.#onText = onText;
    this.answers = new Array(requests.length);
    setMaxListeners(0, this.#halt.signal);
  }

  async run(): Promise<void> {
    const count = Math.min(this.#lm.line.scheduler.concurrency, this.#questions.length);
    await Promise.all(Array.from({ length: count }, () => this.#work()));
    clearTimeout(this.#grace);
    const end = this.#end;
    if (!end) return;
    if (end instanceof WhetstoneError || isAbort(end)) throw end;
    throw new WhetstoneError(`internal: ${end.message}`, { cause: end });
  }

  /** Ends all at once, what is under way too; where answers are kept, those that are paid for may still come. */
  stop(reason: Error): void {
    this.#finish(reason);
    const end = () => {
      for (const controller of this.#underWay) controller.abort(reason);
    };
    if (this.#lm.outcomes) this.#grace = setTimeout(end, GRACE_MS);
    else end();
  }

  /** Sends nothing more; what is under way is waited for. */
  #finish(error: Error): void {
    this.#end ??= error;
    this.#halt.abort(this.#end);
  }

  async #work(): Promise<void> {
    while (this.#next < this.#questions.length && !this.#end) {
      const question = this.#questions[this.#next++]!;
      try {
        this.#place(await this.#answer(question), question.places);
      } catch (error) {
        if (error instanceof CallFailure) this.#fail(error, question);
        else this.#finish(error instanceof Hopeless ? error.error : (error as Error));
      }
    }
  }

  async #answer(question: Question): Promise<Completion> {
    const { cache, asking } = this.#lm;
    const { key } = question;
    let kept = await cache.get(key);
    const theirs = kept ? undefined : asking.get(key);
    if (theirs) kept = await shared(theirs, this.#halt.signal);
    if (kept) return { ...kept, isCached: true };
    const ours = this.#askAndKeep(question);
    asking.set(key, ours);
    const answer = await ours.finally(() => asking.delete(key));
    this.#failuresInARow = 0;
    return answer;
  }

  async #askAndKeep({ key, request, places }: Question): Promise<Completion> {
    const { line, outcomes, cache } = this.#lm;
    const place = `${line.role} ${key}`;
    const past = outcomes?.recall(place);
    if (past) {
      line.ledger.again(line.role, past);
      if ('failure' in past) throw CallFailure.again(past.failure);
      await cache.set(key, past.answer);
      return past.answer;
    }
    const signals = { halt: this.#halt.signal, underWay: this.#underWay };
    const ledger = tapped(line.ledger, outcomes);
    const onText = this.#onText;
    const tell = onText && ((piece: string) => void places.map((at) => onText(at, piece)));
    try {
      const answer = await ask({ ...line, ledger }, request, signals, tell);
      outcomes?.keep([[place, { answer, ...ledger.take() }]]);
      await cache.set(key, answer);
      return answer;
    } catch (error) {
      if (error instanceof CallFailure) {
        const failure = { kind: error.kind, message: error.error.message };
        outcomes?.keep([[place, { failure, ...ledger.take() }]]);
      }
      throw error;
    }
  }

  #place(answer: Completion, places: readonly number[]): void {
    const { ledger, role } = this.#lm.line;
    places.forEach((at, i) => {
      const isCached = answer.isCached || i > 0;
      if (isCached) ledger.cached(role);
      this.answers[at] = { ...answer, isCached };
    });
    this.#progress(places.length);
  }

  #fail({ error, kind }: CallFailure, { key, places }: Question): void {
    for (const at of places) this.answers[at] = { error };
    this.#progress(places.length);
    const { failed } = this.#lm;
    if (failed.has(key)) return;
    failed.add(key);
    if (kind === 'long' || ++this.#failuresInARow < FAILURES_IN_A_ROW) return;
    const row = `${this.#failuresInARow} requests in a row failed`;
    this.#finish(new NetworkError(`${error.message} (${row})`));
  }

  #progress(count: number): void {
    this.done += count;
    this.#onProgress?.(this.done, this.#lm.line.scheduler.waitingFor());
  }
}

/** The answer that another batch is just getting; undefined where it gets none. */
function shared(theirs: Promise<Completion>, halt: AbortSignal): Promise<Completion | undefined> {
  const halted = once(halt, 'abort').then(() => Promise.reject(halt.reason));
  return Promise.race([theirs.catch(() => undefined), halted]);
}

interface Question {
  readonly key: string;
  readonly request: TextRequest;
  /** Where its answer goes. */
  readonly places: number[];
}

function group(requests: readonly TextRequest[], key: string): Question[] {
  const questions = new Map<string, Question>();
  requests.forEach((request, at) => {
    const id = responseKey(key, request);
    const known = questions.get(id);
    if (known) known.places.push(at);
    else questions.set(id, { key: id, request, places: [at] });
  });
  return [...questions.values()];
}
