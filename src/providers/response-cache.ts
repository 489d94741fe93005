/**
 * Answers that need not be asked for again. Kept by what decides them: model, messages, limits and,
 * where the answer is drawn, the number of the sample. Failures are never kept. The store on disk is
 * the runs' affair; here is the interface, the key, and a store in memory.
 */
import { sha256Json } from '../util/hash.ts';
import type { Cost, Paid } from './ledger.ts';
import type { Completion, TextRequest } from './text-model.ts';

export interface ResponseCache {
  get(key: string): Completion | undefined | Promise<Completion | undefined>;
  set(key: string, answer: Completion): void | Promise<void>;
}

/** What came of a question, and what it took. */
export type Outcome = Paid &
  (
    | { readonly answer: Completion }
    | { readonly failure: { readonly kind: string; readonly message: string } }
  );

/**
 * Outcomes of an earlier part of the same run, in the order in which each question was asked. Unlike
 * what lies in a cache they count as they did then.
 */
export interface Outcomes {
  recall(key: string): Outcome | undefined;
  /**
   * A call is about to be sent that may cost so much. What is returned is called once that is settled: it
   * cost nothing, or the outcome that is kept next has it. A process that ends before leaves it open.
   */
  sending(most: Cost): () => void;
  keep(outcomes: readonly (readonly [key: string, outcome: Outcome])[]): void;
}

/** The key of an answer, the same for the same question to the same model. */
export function responseKey(model: string, ask: TextRequest): string {
  const temperature = ask.temperature ?? 0;
  return sha256Json({
    model,
    messages: ask.messages.map(({ role, content }) => [role, content]),
    maxTokens: ask.maxTokens,
    temperature,
    stop: ask.stop ?? [],
    alternatives: ask.alternatives ?? 0,
    ...(temperature > 0 && ask.topP !== undefined ? { topP: ask.topP } : {}),
    ...(temperature > 0 ? { sample: ask.sample ?? 0, seed: ask.seed ?? null } : {}),
  });
}

/** Keeps the newest answers: what runs for weeks must not grow without end. */
export function memoryCache(most = 1_000_000): ResponseCache {
  const answers = new Map<string, Completion>();
  return {
    get: (key) => answers.get(key),
    set: (key, answer) => {
      answers.set(key, answer);
      const oldest = answers.keys().next().value;
      if (answers.size > most && oldest !== undefined) answers.delete(oldest);
    },
  };
}
