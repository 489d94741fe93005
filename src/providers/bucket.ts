/**
 * One limit of a server as a bucket that refills steadily: what the last answer said is left, plus
 * what has flowed in since, less what is under way. A request under way may have been counted by the
 * server already; counting it again errs on the side of waiting, and its own answer mends it.
 */
import type { Limit } from './rate-limits.ts';

export class Bucket {
  #limit: number;
  #remaining: number;
  /** Units that flow in a millisecond; 0 where the server does not say. */
  #perMs: number;
  #at: number;
  #underWay = 0;
  /** The newest request whose answer was believed. */
  #newest = 0;

  constructor(limit: number, perMs: number, now: number) {
    this.#limit = limit;
    this.#remaining = limit;
    this.#perMs = perMs;
    this.#at = now;
  }

  take(cost: number): void {
    this.#underWay += cost;
  }

  /** The request is done: its cost counts until an answer's headers say otherwise. */
  spend(cost: number, now: number): void {
    this.#remaining = this.#left(now) - cost;
    this.#at = now;
    this.#underWay -= cost;
  }

  /** The request was never sent. */
  giveBack(cost: number): void {
    this.#underWay -= cost;
  }

  /** `sequence` numbers the requests in the order of their sending. */
  learn(told: Limit, sequence: number, now: number): void {
    const isOld = sequence < this.#newest;
    if (isOld && told.remaining > this.#left(now)) return;
    this.#newest = Math.max(this.#newest, sequence);
    this.#limit = told.limit;
    this.#remaining = told.remaining;
    this.#at = now;
    const used = told.limit - told.remaining;
    if (told.resetMs !== undefined && told.resetMs > 0 && used > 0) {
      this.#perMs = used / told.resetMs;
    }
  }

  /**
   * Milliseconds until a request of this cost fits; Infinity: not before another one is answered.
   * A request larger than the whole limit is let through when the bucket is full: the server judges.
   */
  waitMs(cost: number, now: number): number {
    const missing = Math.min(cost, this.#limit) - (this.#left(now) - this.#underWay);
    if (missing <= 0) return 0;
    if (this.#perMs > 0) return Math.ceil(missing / this.#perMs);
    return this.#underWay > 0 ? Number.POSITIVE_INFINITY : 0;
  }

  #left(now: number): number {
    return Math.min(this.#limit, this.#remaining + (now - this.#at) * this.#perMs);
  }
}
