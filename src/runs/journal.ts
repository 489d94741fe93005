/**
 * What the world answered to a run: scores, answers in text with what they cost, readings of the clock,
 * decisions that hung on it. A run is a function of its seed and of these, so that a process which
 * begins anew with the journal of an earlier one takes the same course without computing or paying
 * again, up to where the journal ends; from there on it asks the world.
 *
 * Answers are found by what was asked, in the order in which the same was asked. What is not recorded:
 * computing outside of the environment (a policy's own sampling, gradients). It is done again, or
 * skipped where a method hands in its state.
 */
import { randomUUID } from 'node:crypto';
import type { Recorder } from '../environment/index.ts';
import { TimeOverError } from '../methods/index.ts';
import type { Cost, Outcome, Outcomes, Role, Totals } from '../providers/index.ts';
import { ANSWER_KEYS, floatsOf, type JournalRow, type RecordingTable } from './recording-table.ts';

/** Where a journal is read from. */
export interface JournalSource {
  readonly recordings: RecordingTable;
  readonly run: string;
}

/** Bytes that wait for the next event at most; more are written by themselves. */
const MOST_WAITING = 2 ** 18;
/** And so long do they wait. */
const MOST_WAITING_MS = 2000;

export class Journal implements Recorder, Outcomes {
  /** Writes what waits; until it is set, all waits. */
  flush: () => void = () => {};
  private readonly source: JournalSource | undefined;
  /** Numbers of rows that were not asked for yet, by key. */
  private readonly ahead = new Map<string, number[]>();
  /** Readings of the clock with the row that each is from. */
  private readings: { readonly seq: number; readonly values: Float64Array }[] = [];
  private reading = 0;
  /** Live: what is added to this process's clock. */
  private offsetMs: number | undefined;
  private lastMs = 0;
  private waiting: JournalRow[] = [];
  private waitingBytes = 0;
  private waitingSince = performance.now();
  private ticks: number[] = [];
  /** Rows that belong to the part of the search that a state has seen. */
  private seen: { readonly seq: number; readonly key: string }[] = [];
  private isSearching = false;

  constructor(source?: JournalSource) {
    this.source = source;
    if (!source) return;
    for (const { seq, key } of source.recordings.journalKeys(source.run)) {
      if (key.startsWith(SENT) || key.startsWith(SETTLED)) continue;
      if (key === CLOCK) this.readings.push({ seq, values: doublesOf(this.data(seq)) });
      else if (!key.startsWith(STEP)) this.ahead.set(key, [...(this.ahead.get(key) ?? []), seq]);
    }
  }

  /** What earlier processes paid at most for models that answer in text. */
  get paid(): Totals {
    return this.source ? paidIn(this.source) : NOTHING;
  }

  /** True while there are answers that were not asked for yet. */
  get isAhead(): boolean {
    return this.ahead.size > 0 || this.readings.length > 0;
  }

  async floats(key: string, compute: () => Promise<Float32Array>): Promise<Float32Array> {
    const known = this.recall1(key);
    if (known) return floatsOf(known);
    this.refuseAfterStop();
    const values = await compute();
    // A copy: what is handed out may be changed.
    const { buffer, byteOffset, byteLength } = values.slice();
    this.record(key, new Uint8Array(buffer, byteOffset, byteLength));
    if (this.isFull) this.flush();
    return values;
  }

  *known(beginning: string): Iterable<{ readonly key: string; readonly values: Float32Array }> {
    for (const { seq, key } of this.seen) {
      if (key.startsWith(beginning)) yield { key, values: floatsOf(this.data(seq)) };
    }
  }

  /** Outcomes of questions that a restored state has seen, with the role that asked. */
  *knownOutcomes(): Iterable<readonly [role: Role, outcome: Outcome]> {
    for (const { seq, key } of this.seen) {
      if (!key.startsWith(TEXT)) continue;
      yield [key.slice(TEXT.length).split(' ', 1)[0] as Role, parsed<Outcome>(this.data(seq))];
    }
  }

  recall(key: string): Outcome | undefined {
    const known = this.recall1(TEXT + key);
    if (known) return parsed<Outcome>(known);
    this.refuseAfterStop();
    return undefined;
  }

  sending(most: Cost): () => void {
    const id = randomUUID();
    this.record(SENT + id, jsonBytes(most));
    this.flush();
    return () => this.record(SETTLED + id, new Uint8Array(0));
  }

  keep(outcomes: readonly (readonly [key: string, outcome: Outcome])[]): void {
    for (const [key, outcome] of outcomes) this.record(TEXT + key, jsonBytes(outcome));
    // What was paid for must not be asked again; a failure waits, since it may end the run.
    if (outcomes.some(([, outcome]) => 'answer' in outcome)) this.flush();
  }

  /** A decision that hangs on time or on this machine: made once a run. */
  value<T>(name: string, decide: () => T): T {
    const known = this.recall1(`value ${name}`);
    if (known) return parsed<T>(known);
    const value = decide();
    this.record(`value ${name}`, jsonBytes(value));
    return value;
  }

  /** Milliseconds of the search's clock, which stands still between two processes. */
  readonly now = (): number => {
    const [first] = this.readings;
    if (first) {
      this.lastMs = first.values[this.reading++]!;
      if (this.reading === first.values.length) {
        this.readings = this.readings.slice(1);
        this.reading = 0;
      }
      return this.lastMs;
    }
    this.refuseAfterStop();
    this.offsetMs ??= this.lastMs - performance.now();
    this.lastMs = performance.now() + this.offsetMs;
    this.ticks.push(this.lastMs);
    return this.lastMs;
  };

  /** Runs a search; one that was stopped ends where it ended then. */
  async search<T>(work: () => Promise<T>): Promise<T> {
    this.isSearching = true;
    try {
      return await work();
    } finally {
      this.isSearching = false;
    }
  }

  /** The search was ended in the middle of a step: from outside, or since its time was over. */
  stopped(isTimeOver: boolean): void {
    if (this.recall1(STOPPED)) return;
    this.record(STOPPED, Uint8Array.of(Number(isTimeOver)));
    // A process that is killed from here on must not search again.
    this.flush();
  }

  /**
   * Leaves out the rows after `from` up to `to`, which a restored state has seen; they are what
   * `known` tells of.
   */
  skip(from: number, to: number): void {
    const isSeen = (seq: number) => seq > from && seq <= to;
    for (const [key, seqs] of this.ahead) {
      for (const seq of seqs) if (isSeen(seq)) this.seen.push({ seq, key });
      const left = seqs.filter((seq) => seq > to);
      if (left.length > 0) this.ahead.set(key, left);
      else this.ahead.delete(key);
    }
    this.seen.sort((a, b) => a.seq - b.seq);
    const skipped = this.readings.filter(({ seq }) => seq <= to);
    if (skipped.length === 0) return;
    this.lastMs = skipped.at(-1)!.values.at(-1)!;
    this.readings = this.readings.filter(({ seq }) => seq > to);
    this.reading = 0;
  }

  /** What is to be written next, in one piece with the event that it led to. */
  take(): readonly JournalRow[] {
    if (this.ticks.length > 0) {
      const { buffer } = Float64Array.from(this.ticks);
      this.waiting.push({ key: CLOCK, data: new Uint8Array(buffer) });
    }
    const rows = this.waiting;
    this.waiting = [];
    this.ticks = [];
    this.waitingBytes = 0;
    this.waitingSince = performance.now();
    return rows;
  }

  private recall1(key: string): Uint8Array | undefined {
    const seqs = this.ahead.get(key);
    if (!seqs) return undefined;
    const [seq, ...left] = seqs as [number, ...number[]];
    if (left.length > 0) this.ahead.set(key, left);
    else this.ahead.delete(key);
    return this.data(seq);
  }

  private record(key: string, data: Uint8Array): void {
    this.waiting.push({ key, data });
    this.waitingBytes += data.byteLength + key.length;
  }

  private get isFull(): boolean {
    const waitedMs = performance.now() - this.waitingSince;
    return this.waitingBytes > MOST_WAITING || waitedMs > MOST_WAITING_MS;
  }

  private refuseAfterStop(): void {
    const [seq] = (this.isSearching && this.ahead.get(STOPPED)) || [];
    if (seq !== undefined) {
      if (this.data(seq)[0] === 1) throw new TimeOverError('the time was over here');
      throw new DOMException('the search was stopped here', 'AbortError');
    }
  }

  private data(seq: number): Uint8Array {
    const { recordings, run } = this.source!;
    return recordings.journalData(run, seq);
  }
}

/** The key of the row that ends a step. */
export const stepKey = (step: number): string => `${STEP}${step}`;

/** What came of questions to models that answer in text, oldest first. */
export function* outcomesIn({ recordings, run }: JournalSource): Iterable<[string, Outcome]> {
  for (const { seq, key } of recordings.journalKeys(run)) {
    if (!key.startsWith(TEXT)) continue;
    yield [key.slice(TEXT.length), parsed<Outcome>(recordings.journalData(run, seq))];
  }
}

/** What a run has paid at most: for answers, for calls without one, for those whose process ended before it knew. */
export function paidIn(source: JournalSource): Totals {
  const paid = [...outcomesIn(source)].flatMap(([, o]) => [...o.costs, ...o.forfeited]);
  return sumOf([...paid, ...lostIn(source)]);
}

/** What was sent, and whose process ended before it knew what became of it. */
function* lostIn({ recordings, run }: JournalSource): Iterable<Cost> {
  const open = new Map<string, number>();
  for (const { seq, key } of recordings.journalKeys(run)) {
    if (key.startsWith(SENT)) open.set(key.slice(SENT.length), seq);
    else if (key.startsWith(SETTLED)) open.delete(key.slice(SETTLED.length));
  }
  for (const seq of open.values()) yield parsed<Cost>(recordings.journalData(run, seq));
}

const NOTHING: Totals = { calls: 0, tokens: 0, usd: 0 };

function sumOf(costs: readonly Cost[]): Totals {
  const sum = { ...NOTHING };
  for (const { inputTokens, outputTokens, usd = 0 } of costs) {
    sum.calls++;
    sum.tokens += inputTokens + outputTokens;
    sum.usd += usd;
  }
  return sum;
}

const [TEXT, SENT, SETTLED] = ANSWER_KEYS;
const STEP = 'step ';
const CLOCK = 'clock';
const STOPPED = 'stopped';

function jsonBytes(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function parsed<T>(bytes: Uint8Array): T {
  return JSON.parse(Buffer.from(bytes).toString()) as T;
}

function doublesOf(bytes: Uint8Array): Float64Array {
  return new Float64Array(Uint8Array.from(bytes).buffer);
}
