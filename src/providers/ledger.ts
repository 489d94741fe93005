/**
 * What a run's models have cost, by role, under hard caps over all roles together. A call's worst
 * case is reserved before it is sent and settled after; a call that does not fit waits for those
 * under way, and is refused where even their release could not make room. So the sum of what is
 * spent and what may still be spent never passes a cap, however many calls run side by side.
 *
 * A call that may have been paid without an answer (a cut body, a timeout) keeps its worst case,
 * under `unconfirmed`: it counts against the caps, not among the calls.
 */
import { BudgetError } from '../errors.ts';
import { formatCount } from '../util/format.ts';

export const roles = ['task', 'policy', 'judge', 'reflection'] as const;
export type Role = (typeof roles)[number];

export interface Caps {
  readonly usd?: number | undefined;
  readonly tokens?: number | undefined;
  readonly calls?: number | undefined;
}

/** Of one call. */
export interface Cost {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Undefined where the model's price is unknown. */
  readonly usd: number | undefined;
}

export interface LedgerLine {
  readonly calls: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Null where a call's price is unknown. */
  readonly usd: number | null;
  readonly retries: number;
  readonly cached: number;
}

export interface Unconfirmed {
  readonly calls: number;
  readonly tokens: number;
  readonly usd: number;
}

/** What is held for one call; exactly one of its ends is called, once. */
export interface Reservation {
  /** The call was answered, at this cost. */
  settle(cost: Cost): void;
  /** The call was not answered and cannot have been paid. */
  release(): void;
  /** The call was not answered and may have been paid. */
  forfeit(): void;
}

/** What one question took. */
export interface Paid {
  /** Of the calls that were answered. */
  readonly costs: readonly Cost[];
  /** Of calls that may have been paid without an answer. */
  readonly forfeited: readonly Cost[];
  readonly retries: number;
}

/** Calls, tokens and US dollars, of all roles together. */
export type Totals = { calls: number; tokens: number; usd: number };
type Entry = { -readonly [key in keyof LedgerLine]: LedgerLine[key] };

const none = (): Totals => ({ calls: 0, tokens: 0, usd: 0 });
const NO_LINE: LedgerLine = {
  calls: 0,
  inputTokens: 0,
  outputTokens: 0,
  usd: 0,
  retries: 0,
  cached: 0,
};

interface Waiting {
  readonly role: Role;
  readonly most: Totals;
  grant(): void;
  refuse(error: BudgetError): void;
}

export class Ledger {
  readonly caps: Caps;
  readonly #lines = new Map<Role, Entry>();
  /** Answered, and unconfirmed at the worst case. */
  readonly #spent = none();
  readonly #reserved = none();
  readonly #unconfirmed = none();
  readonly #aside = none();
  /** Paid in earlier processes of the run and not entered again yet. */
  readonly #ahead = none();
  #waiting: Waiting[] = [];

  /** `lines` and `unconfirmed` are those of an earlier part of the run, which count against the caps. */
  constructor(
    caps: Caps = {},
    earlier: {
      readonly lines?: Partial<Record<Role, LedgerLine>>;
      readonly unconfirmed?: Unconfirmed;
    } = {},
  ) {
    this.caps = caps;
    for (const role of roles) {
      const line = earlier.lines?.[role];
      if (!line) continue;
      this.#lines.set(role, { ...line });
      add(this.#spent, totalsOf({ ...line, usd: line.usd ?? undefined }, line.calls));
    }
    if (earlier.unconfirmed) {
      add(this.#unconfirmed, earlier.unconfirmed);
      add(this.#spent, earlier.unconfirmed);
    }
  }

  /**
   * Holds the most that a call can cost, waiting for calls under way where only they stand in its way.
   * `calls` that are sent together are held as one.
   * @throws BudgetError when it would pass a cap; the standard AbortError
   */
  async reserve(role: Role, most: Cost, signal?: AbortSignal, calls = 1): Promise<Reservation> {
    const totals = totalsOf(most, calls);
    this.#refuse(role, totals);
    if (this.#waiting.length > 0 || this.#passed(totals, this.#reserved) !== undefined) {
      await this.#wait(role, totals, signal);
    } else add(this.#reserved, totals);
    return this.#reservation(role, totals);
  }

  /** Lowers the caps by what a later part of the run needs, until the returned function is called. */
  putAside(part: Readonly<Totals>): () => void {
    add(this.#aside, part);
    let isHeld = true;
    return () => {
      if (isHeld) add(this.#aside, part, -1);
      isHeld = false;
      this.#pump();
    };
  }

  /** Counts against the caps what an earlier process spent under them. */
  spentBefore(part: Readonly<Totals>): void {
    add(this.#spent, part);
  }

  /** Counts against the caps what earlier processes of the same run paid; `again` enters it, bit by bit. */
  paidBefore(part: Readonly<Totals>): void {
    add(this.#ahead, part);
  }

  /** Enters what one question took in an earlier process. */
  again(role: Role, { costs, forfeited, retries }: Paid): void {
    const entry = this.#entry(role);
    for (const cost of costs) {
      addLine(entry, { ...NO_LINE, ...cost, calls: 1, usd: cost.usd ?? null });
      this.#enter(totalsOf(cost, 1));
    }
    for (const cost of forfeited) {
      add(this.#unconfirmed, totalsOf(cost, 1));
      this.#enter(totalsOf(cost, 1));
    }
    entry.retries += retries;
  }

  #enter(totals: Totals): void {
    add(this.#spent, totals);
    for (const key of ['calls', 'tokens', 'usd'] as const) {
      this.#ahead[key] = Math.max(0, this.#ahead[key] - totals[key]);
    }
  }

  /** One more attempt at a call. */
  retried(role: Role): void {
    this.#entry(role).retries++;
  }

  /** One answer that cost nothing. */
  cached(role: Role): void {
    this.#entry(role).cached++;
  }

  /** The sums of one role, or of all. */
  line(role?: Role): LedgerLine {
    if (role) return { ...(this.#lines.get(role) ?? NO_LINE) };
    const sum: Entry = { ...NO_LINE };
    for (const line of this.#lines.values()) addLine(sum, line);
    return sum;
  }

  byRole(): Readonly<Partial<Record<Role, LedgerLine>>> {
    return Object.fromEntries([...this.#lines].map(([role, line]) => [role, { ...line }]));
  }

  /** What counts against the caps: answered, unconfirmed, and spent before. */
  get spent(): Totals {
    return { ...this.#spent };
  }

  /** What unanswered calls may have cost at most. */
  get unconfirmed(): Unconfirmed {
    return { ...this.#unconfirmed };
  }

  #entry(role: Role): Entry {
    const entry = this.#lines.get(role) ?? { ...NO_LINE };
    this.#lines.set(role, entry);
    return entry;
  }

  #reservation(role: Role, totals: Totals): Reservation {
    const close = (spent?: Totals) => {
      add(this.#reserved, totals, -1);
      if (spent) add(this.#spent, spent);
      this.#pump();
    };
    return {
      settle: (cost) => {
        addLine(this.#entry(role), { ...NO_LINE, ...cost, calls: 1, usd: cost.usd ?? null });
        close(totalsOf(cost, 1));
      },
      release: () => close(),
      forfeit: () => {
        add(this.#unconfirmed, totals);
        close(totals);
      },
    };
  }

  #wait(role: Role, most: Totals, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiting = this.#waiting.filter((other) => other !== waiting);
        reject(signal!.reason);
        this.#pump();
      };
      const done = (then: () => void) => {
        signal?.removeEventListener('abort', leave);
        then();
      };
      const waiting: Waiting = {
        role,
        most,
        grant: () => done(resolve),
        refuse: (error) => done(() => reject(error)),
      };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiting.push(waiting);
    });
  }

  /** Serves those who wait, in their order. */
  #pump(): void {
    for (let first = this.#waiting[0]; first; first = this.#waiting[0]) {
      try {
        this.#refuse(first.role, first.most);
      } catch (error) {
        this.#waiting.shift();
        first.refuse(error as BudgetError);
        continue;
      }
      if (this.#passed(first.most, this.#reserved) !== undefined) return;
      this.#waiting.shift();
      add(this.#reserved, first.most);
      first.grant();
    }
  }

  /** The cap that `most` on top of what is spent and `held` would pass. */
  #passed(most: Totals, held: Totals): keyof Caps | undefined {
    for (const key of ['calls', 'tokens', 'usd'] as const) {
      const cap = this.caps[key];
      // Sums of dollars are rounded in the last digits of a double: a billionth is no overdraft.
      const slack = key === 'usd' ? 1e-12 : 0;
      const sum = this.#gone(key) + this.#aside[key] + held[key] + most[key];
      if (cap !== undefined && sum > cap + slack) return key;
    }
    return undefined;
  }

  /** Spent, whether it has been entered or not. */
  #gone(key: keyof Caps): number {
    return this.#spent[key] + this.#ahead[key];
  }

  #refuse(role: Role, most: Totals): void {
    const key = this.#passed(most, none());
    if (key === undefined) return;
    const show = (amount: number) =>
      key === 'usd' ? `$${Number(amount.toPrecision(4))}` : `${formatCount(amount)} ${key}`;
    const kept = this.#aside[key] > 0 ? `, ${show(this.#aside[key])} are kept for the end` : '';
    if (key === 'calls') {
      throw new BudgetError(
        `budget.calls: ${formatCount(this.#gone('calls'))} of ${formatCount(this.caps.calls!)} are spent${kept}, and the ${role} LM is to be asked ${formatCount(most.calls)} more; raise budget.calls`,
      );
    }
    throw new BudgetError(
      `budget.${key}: the next call of the ${role} LM may take up to ${show(most[key])} and ${show(this.#gone(key))} of ${show(this.caps[key]!)} are spent${kept}; raise budget.${key}`,
    );
  }
}

function totalsOf(cost: Cost, calls: number): Totals {
  return { calls, tokens: cost.inputTokens + cost.outputTokens, usd: cost.usd ?? 0 };
}

function add(sum: Totals, part: Totals, sign: 1 | -1 = 1): void {
  sum.calls += sign * part.calls;
  sum.tokens += sign * part.tokens;
  sum.usd += sign * part.usd;
}

function addLine(sum: Entry, line: LedgerLine): void {
  sum.calls += line.calls;
  sum.inputTokens += line.inputTokens;
  sum.outputTokens += line.outputTokens;
  sum.usd = sum.usd === null || line.usd === null ? null : sum.usd + line.usd;
  sum.retries += line.retries;
  sum.cached += line.cached;
}
