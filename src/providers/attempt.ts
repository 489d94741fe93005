/**
 * One try at a request to a model behind an API: gate, reservation, sending, reading, settling. Every HTTP
 * request passes through `post`, which the AI SDK calls as its `fetch`.
 */
import { isAbort, NetworkError, WhetstoneError } from '../errors.ts';
import { formatSeconds } from '../util/format.ts';
import {
  brokenOff,
  CallFailure,
  httpFailure,
  type Identity,
  isHtml,
  unreadable,
} from './failures.ts';
import type { Cost, Reservation, Role } from './ledger.ts';
import type { CallLedger } from './paid.ts';
import type { Patience } from './patience.ts';
import { costUsd, type Price } from './prices.ts';
import type { ChatModel, ChatOptions, ChatResult, LogProbs, ProviderOptions } from './provider.ts';
import type { Scheduler } from './scheduler.ts';
import type { Completion, TextRequest } from './text-model.ts';
import type { TokenEstimate } from './token-estimate.ts';
import {
  asResponse,
  ConnectionFailure,
  type HttpAnswer,
  type OnPiece,
  responseOfStream,
  type Send,
} from './transport.ts';

const READING_MS = 100;

/** What a configuration calls the most tokens of an answer. */
const LIMIT_OF: Readonly<Record<Role, string>> = {
  task: 'task.maxAnswerTokens',
  policy: 'method.promptTokens',
  judge: "the judge's maxTokens",
  reflection: 'method.maxTokens',
};

/** What all calls to one model share. */
export interface Line {
  readonly who: Omit<Identity, 'hasAnswered'>;
  readonly chat: ChatModel;
  readonly optionsName: string;
  readonly options: ProviderOptions;
  readonly logProbs: LogProbs | undefined;
  readonly scheduler: Scheduler;
  readonly ledger: CallLedger;
  readonly role: Role;
  readonly price: Price | undefined;
  readonly patience: Patience;
  /** The model's window in tokens, where it is known. */
  readonly contextLength: number | undefined;
  readonly send: Send;
  /** The calls under way, by the signal that the AI SDK hands to its `fetch`. */
  readonly calls: WeakMap<AbortSignal, Attempt>;
}

/** Signals of the batch that a call belongs to. */
export interface BatchSignals {
  /** Ends what waits to be sent. */
  readonly halt: AbortSignal;
  /** Ends what is under way; told by the batch, so that one listener serves all calls. */
  readonly underWay: Set<AbortController>;
}

/** Told an answer piece by piece. */
export type Tell = (piece: string) => void;

/** One try. */
export class Attempt {
  readonly #line: Line;
  readonly #request: TextRequest;
  readonly #estimate: TokenEstimate;
  readonly #batch: BatchSignals;
  readonly #controller = new AbortController();
  readonly #reservations: Reservation[] = [];
  readonly #tell: Tell | undefined;
  #hasTold = false;
  #answer: HttpAnswer | undefined;
  /** Why a stream broke, as it was before the AI SDK wrapped it. */
  #break: unknown;
  /** The server was asked for a stream and answered in one piece. */
  #cameWhole = false;

  constructor(
    line: Line,
    request: TextRequest,
    parts: {
      readonly estimate: TokenEstimate;
      readonly batch: BatchSignals;
      readonly tell: Tell | undefined;
    },
  ) {
    this.#line = line;
    this.#request = request;
    this.#estimate = parts.estimate;
    this.#batch = parts.batch;
    // Log-probabilities are read from whole answers.
    this.#tell = request.alternatives ? undefined : parts.tell;
  }

  async run(): Promise<Completion> {
    const { calls, scheduler } = this.#line;
    const { signal } = this.#controller;
    calls.set(signal, this);
    this.#batch.underWay.add(this.#controller);
    let result: Result;
    try {
      result = await this.#result(this.#chatOptions(signal));
    } catch (error) {
      const failure = this.#failed(this.#break ?? error);
      this.#controller.abort(failure); // what is still arriving
      throw this.#hasTold ? final(failure) : failure;
    } finally {
      this.#batch.underWay.delete(this.#controller);
    }
    this.#settle(result);
    scheduler.lastAnswerAt = performance.now();
    return this.#completion(result);
  }

  async #result(options: ChatOptions): Promise<Result> {
    const { chat } = this.#line;
    if (!this.#tell) return chat.doGenerate(options);
    try {
      return await this.#streamed(options, this.#tell);
    } catch (error) {
      if (!this.#cameWhole) throw error;
    }
    return chat.doGenerate(options);
  }

  async #streamed(options: ChatOptions, tell: Tell): Promise<Result> {
    const { who, scheduler, chat } = this.#line;
    const { stream } = await chat.doStream(options);
    let text = '';
    let problem: unknown;
    let end: Extract<StreamPart, { type: 'finish' }> | undefined;
    for await (const part of stream as unknown as AsyncIterable<StreamPart>) {
      if (part.type === 'finish') end = part;
      else if (part.type === 'error') problem ??= part.error;
      else if (part.type === 'text-delta' && part.delta !== '') {
        this.#hasTold = true;
        text += part.delta;
        tell(part.delta);
      }
    }
    if (problem === undefined && end) return { ...end, content: [{ type: 'text', text }] };
    // An `Error` is the SDK's own: the bytes were no stream of answers.
    if (problem instanceof Error && !this.#hasTold) throw problem;
    throw brokenOff(problem, { ...who, hasAnswered: scheduler.hasAnswered });
  }

  /** The `fetch` of this try. */
  async post(url: string, init: RequestInit): Promise<Response> {
    if (!this.#tell) return asResponse((await this.#send(url, init)).body);
    if (this.#cameWhole) return asResponse(this.#answer!.body);
    const response = await responseOfStream((onPiece) =>
      this.#send(url, init, onPiece).catch((error: unknown) => {
        this.#break = error;
        throw error;
      }),
    );
    if (response) return response;
    this.#cameWhole = true;
    throw new Error('no stream');
  }

  async #send(url: string, init: RequestInit, onPiece?: OnPiece) {
    const { scheduler, ledger, role, send, patience, who } = this.#line;
    const { halt } = this.#batch;
    const output = this.#request.maxTokens;
    const load = { inputTokens: this.#estimate.likely, outputTokens: output };
    const ticket = await scheduler.admit(load, halt);
    let reservation: Reservation;
    try {
      reservation = await ledger.reserve(role, this.#most(), halt);
    } catch (error) {
      ticket.cancel();
      throw error;
    }
    // A process that stood still finds its timers due before it reads the answers that came meanwhile:
    // the second timer leaves time to read them, so that a paid answer is not thrown away.
    let timer = setTimeout(() => {
      timer = setTimeout(() => this.#controller.abort(this.#timeout()), READING_MS);
    }, patience.timeoutMs);
    try {
      const headers = init.headers as Record<string, string>;
      const { signal } = this.#controller;
      this.#answer = await send({ url, headers, body: String(init.body), signal, onPiece });
    } catch (error) {
      const isUnsent = error instanceof ConnectionFailure && !error.mayBePaid;
      if (isUnsent) reservation.release();
      else reservation.forfeit();
      throw error;
    } finally {
      clearTimeout(timer);
      ticket.done(this.#answer?.headers);
    }
    const { status } = this.#answer;
    if (status < 200 || status > 299) {
      reservation.release();
      const tokens = { input: this.#estimate.likely, output };
      throw httpFailure(this.#answer, { ...who, hasAnswered: scheduler.hasAnswered }, tokens);
    }
    this.#reservations.push(reservation);
    return this.#answer;
  }

  #chatOptions(abortSignal: AbortSignal): ChatOptions {
    const { optionsName, options, logProbs } = this.#line;
    const { messages, maxTokens, temperature = 0, topP, stop, seed, alternatives } = this.#request;
    const own = alternatives && logProbs ? logProbs.options(alternatives) : {};
    return {
      prompt: messages.map(({ role, content }) =>
        role === 'system'
          ? { role, content }
          : { role, content: [{ type: 'text', text: content }] },
      ),
      maxOutputTokens: maxTokens,
      temperature,
      ...(temperature > 0 && topP !== undefined ? { topP } : {}),
      ...(stop && stop.length > 0 ? { stopSequences: [...stop] } : {}),
      ...(seed !== undefined ? { seed } : {}),
      providerOptions: { [optionsName]: { ...options, ...own } },
      abortSignal,
    };
  }

  #most(): Cost {
    const { price } = this.#line;
    const tokens = { inputTokens: this.#estimate.most, outputTokens: this.#request.maxTokens };
    return { ...tokens, usd: price && costUsd(price, tokens) };
  }

  #timeout(): CallFailure {
    const { who, patience } = this.#line;
    const time = formatSeconds(patience.timeoutMs / 1000);
    return new CallFailure(
      'transient',
      new NetworkError(`${who.name}: no whole answer from ${who.baseUrl} within ${time}`),
    );
  }

  /** The failure behind what came out of the AI SDK. */
  #failed(error: unknown): unknown {
    const { who, scheduler } = this.#line;
    // The last request's answer could not be read; those before it (if any) were paid as well.
    const isPaid = this.#answer !== undefined && !isHtml(this.#answer.body);
    for (const reservation of this.#reservations) {
      if (isPaid) reservation.forfeit();
      else reservation.release();
    }
    if (this.#controller.signal.aborted) return this.#controller.signal.reason;
    if (error instanceof CallFailure || error instanceof WhetstoneError) return error;
    if (isAbort(error) || error === this.#batch.halt.reason) return error;
    const { hasAnswered } = scheduler;
    if (error instanceof ConnectionFailure) {
      // Nothing listens where nothing ever did: the address is wrong or the server is not started.
      const kind = hasAnswered || error.mayBePaid ? 'transient' : 'all';
      const mend = kind === 'all' ? '; check that it runs and that baseUrl is right' : '';
      const sentence = `${who.name}: ${who.baseUrl} ${error.message}${mend}`;
      return new CallFailure(kind, new NetworkError(sentence));
    }
    if (this.#reservations.length > 0 && this.#answer) {
      return unreadable(this.#answer.body, { ...who, hasAnswered });
    }
    const sentence = `${who.name}: ${who.redact(error instanceof Error ? error.message : String(error))}`;
    return new CallFailure('request', new NetworkError(sentence));
  }

  #settle(result: Result): void {
    const { price } = this.#line;
    const most = this.#most();
    const { inputTokens, outputTokens } = result.usage;
    // A server that counts nothing is taken at the worst case.
    const tokens = {
      inputTokens: inputTokens.total ?? most.inputTokens,
      outputTokens: outputTokens.total ?? most.outputTokens,
    };
    const cachedInputTokens = inputTokens.cacheRead;
    const [first, ...more] = this.#reservations;
    for (const reservation of more) reservation.release(); // the SDK sums the usage of all
    first?.settle({ ...tokens, usd: price && costUsd(price, { ...tokens, cachedInputTokens }) });
  }

  #completion(result: Result): Completion {
    const { alternatives, maxTokens } = this.#request;
    const told = alternatives ? this.#line.logProbs?.read(result) : undefined;
    const text = result.content.map((part) => (part.type === 'text' ? part.text : '')).join('');
    const completion: Completion = {
      text,
      finish: finishOf(result.finishReason.unified),
      inputTokens: result.usage.inputTokens.total ?? 0,
      outputTokens: result.usage.outputTokens.total ?? 0,
      isCached: false,
      ...(told ? { alternatives: told } : {}),
    };
    if (text === '' && completion.finish !== 'refusal') {
      throw new CallFailure('request', new NetworkError(this.#emptiness(completion, maxTokens)));
    }
    return completion;
  }

  #emptiness({ finish, outputTokens }: Completion, maxTokens: number): string {
    const why =
      finish === 'length'
        ? `, all of its ${maxTokens} tokens went into thinking; raise ${LIMIT_OF[this.#line.role]}`
        : outputTokens > 1
          ? `, its ${outputTokens} tokens hold no text`
          : '';
    return `${this.#line.who.name}: the answer is empty${why}`;
  }
}

/** What is read of a result, whole or streamed. */
type Result = Pick<ChatResult, 'content' | 'finishReason' | 'usage' | 'response'>;
type StreamPart =
  Awaited<ReturnType<ChatModel['doStream']>>['stream'] extends ReadableStream<infer P> ? P : never;

/** The same failure where another try cannot cure it. */
function final(failure: unknown): unknown {
  if (!(failure instanceof CallFailure) || failure.kind === 'all') return failure;
  return new CallFailure('request', failure.error);
}

function finishOf(reason: ChatResult['finishReason']['unified']): Completion['finish'] {
  if (reason === 'stop' || reason === 'length') return reason;
  return reason === 'content-filter' ? 'refusal' : 'other';
}
