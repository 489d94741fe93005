/**
 * Stands for the journal of the cell in hand, before models and environments that all cells of a
 * comparison share. An answer in text that another cell has paid for is not asked again: it enters the
 * cell's journal as one that cost nothing.
 */
import type { Recorder } from '../environment/index.ts';
import type { Completion, Cost, Outcome, Outcomes, ResponseCache } from '../providers/index.ts';
import { type Journal, type JournalSource, outcomesIn } from './journal.ts';

/** What runs for weeks must not grow without end. */
const MOST_PAID = 1_000_000;

/** For models behind these journals: what came from a cache would be missing in a cell's own. */
export const noCache: ResponseCache = { get: () => undefined, set: () => {} };

export class CellJournals implements Recorder, Outcomes {
  /** Of the cell in hand; without one nothing is kept. */
  current: Journal | undefined;
  /** Whether questions that failed before are asked anew. */
  asksFailedAgain = false;
  private readonly paid = new Map<string, Completion>();
  private unread: JournalSource[] = [];

  floats(key: string, compute: () => Promise<Float32Array>): Promise<Float32Array> {
    return this.current ? this.current.floats(key, compute) : compute();
  }

  known(beginning: string): ReturnType<Recorder['known']> {
    return this.current?.known(beginning) ?? [];
  }

  recall(key: string): Outcome | undefined {
    for (let past = this.current?.recall(key); past; past = this.current?.recall(key)) {
      if ('answer' in past || !this.asksFailedAgain) return past;
    }
    for (const source of this.unread.splice(0)) {
      for (const [one, outcome] of outcomesIn(source)) this.remember(one, outcome);
    }
    const answer = this.paid.get(key);
    if (!answer) return undefined;
    const outcome = { answer: { ...answer, isCached: true }, costs: [], forfeited: [], retries: 0 };
    this.current?.keep([[key, outcome]]);
    return outcome;
  }

  sending(most: Cost): () => void {
    return this.current?.sending(most) ?? (() => {});
  }

  keep(outcomes: readonly (readonly [key: string, outcome: Outcome])[]): void {
    this.current?.keep(outcomes);
    for (const [key, outcome] of outcomes) this.remember(key, outcome);
  }

  /** Says in which run an earlier process has paid for answers; read when the first is asked for. */
  paidIn(source: JournalSource): void {
    this.unread.push(source);
  }

  private remember(key: string, outcome: Outcome): void {
    if (!('answer' in outcome)) return;
    this.paid.set(key, outcome.answer);
    const [oldest] = this.paid.keys();
    if (this.paid.size > MOST_PAID) this.paid.delete(oldest!);
  }
}
