/**
 * A model that answers messages with text: the one shape in which the rooms below see a task LM, a
 * policy LM, a judge, whether it runs in this process or behind an API.
 */
import type { WhetstoneError } from '../errors.ts';

export interface Message {
  readonly role: 'system' | 'user' | 'assistant';
  readonly content: string;
}

export interface TextRequest {
  readonly messages: readonly Message[];
  /** Most tokens of the answer. */
  readonly maxTokens: number;
  /** 0: the likeliest token each time. @default 0 */
  readonly temperature?: number;
  /** Least probability that the tokens drawn among have together. @default 1 */
  readonly topP?: number | undefined;
  /** Texts at which the answer ends; they are not part of it. */
  readonly stop?: readonly string[];
  /** Which of several samples of one request this is: part of a cache's key where temperature > 0. */
  readonly sample?: number;
  readonly seed?: number;
  /** How many alternatives of the first token are asked for; at most the model's `alternatives`. */
  readonly alternatives?: number | undefined;
}

export interface Completion {
  readonly text: string;
  readonly finish: 'stop' | 'length' | 'refusal' | 'other';
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** True where nothing was computed or paid for it. */
  readonly isCached: boolean;
  /** The likeliest first tokens, the likeliest first: there where the request asked for them and the server tells. */
  readonly alternatives?: readonly Alternative[];
}

/** A token that the answer might have begun with, and its natural log-probability. */
export interface Alternative {
  readonly token: string;
  readonly logProb: number;
}

/** One request that has no answer; the others of its batch stand. */
export interface Failure {
  readonly error: WhetstoneError;
}

export interface CompleteOptions {
  readonly signal?: AbortSignal | undefined;
  /** Told the number of requests that are done, and why the rest waits, if it does. */
  readonly onProgress?: ((done: number, waitingFor?: string) => void) | undefined;
  /**
   * Told the answer to request `at` piece by piece while it is computed; the pieces are the beginning
   * of its text, all of it where the model can stream.
   */
  readonly onText?: ((at: number, piece: string) => void) | undefined;
  /** False where nobody waits for the answer to request `at` any more: it may end as it is. */
  readonly isWanted?: ((at: number) => boolean) | undefined;
}

export interface TextModel {
  /** As reports name it. */
  readonly name: string;
  /** Identifies model and settings: part of every cache key. */
  readonly key: string;
  /** Most tokens of messages and answer together, where it is known. */
  readonly contextLength?: number | undefined;
  /** Most alternatives that it tells for the first token of an answer; absent where it tells none. */
  readonly alternatives?: number;
  /**
   * Answers in the order of the requests.
   * @throws the standard AbortError; BudgetError when a cap is reached before all are sent; an error
   * that no request can escape (a wrong key, an unknown model)
   */
  complete(
    requests: readonly TextRequest[],
    options?: CompleteOptions,
  ): Promise<readonly (Completion | Failure)[]>;
  close(): Promise<void>;
}

export function isFailure(answer: Completion | Failure): answer is Failure {
  return 'error' in answer;
}
