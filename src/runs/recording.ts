/**
 * A run as it is written: events in their order, each in one piece with the answers that led to it, and
 * now and then the state of the method. A process that goes on with a run emits the same events again
 * as far as they are there; those are compared and not written twice.
 */
import { PauseError, StoreError } from '../errors.ts';
import type { OnEvent, RunEvent } from './events.ts';
import { Journal, stepKey } from './journal.ts';
import type { Checkpoint, JournalRow } from './recording-table.ts';
import type { RunEnd, RunStore, StoredPrompt, StoredRun } from './store.ts';

/** At most this share of the time goes into keeping states, and they are this far apart. */
const SHARE = 0.03;
const LEAST_APART_MS = 2000;
/** Between two looks at what was asked of the run, while nothing but progress is told. */
const LOOK_MS = 500;
/** Stored events that are read at once to compare with. */
const PAGE = 256;

/** What a state belongs to: how much of the run had been written when the search began. */
export interface SearchMark {
  readonly journalSeq: number;
}

/** What a run does does not come out as it was recorded. */
export class OtherCourseError extends StoreError {}

export class Recording {
  readonly journal: Journal;
  private readonly store: RunStore;
  private readonly onEvent: OnEvent;
  private id: string | undefined;
  /** False while models are opened: what is said then is no part of the run. */
  private isBegun = false;
  private readonly onStop: (() => void) | undefined;
  /** Events so far, and how many of them were there before. */
  private seq = 0;
  private readonly acknowledged: number;
  private stored: { readonly first: number; readonly texts: readonly string[] } = {
    first: 1,
    texts: [],
  };
  private readonly apartMs: number;
  private checkpointAt: number;
  private lookAt = 0;
  private readonly startedMs = performance.now();
  private readonly earlier: StoredRun | undefined;

  /** Of a run that is yet to be made, or of one that this process has claimed. */
  constructor(
    store: RunStore,
    { onEvent = () => {}, onStop, run, statesApartMs = LEAST_APART_MS }: RecordingOptions = {},
  ) {
    this.store = store;
    this.onEvent = onEvent;
    this.onStop = onStop;
    this.apartMs = statesApartMs;
    this.checkpointAt = performance.now() + statesApartMs;
    this.earlier = run;
    this.acknowledged = run ? store.lastSeq(run.id) : 0;
    this.journal = new Journal(run && { recordings: store.recordings, run: run.id });
    if (run) this.belongsTo(run.id);
  }

  /** The run; there is none before `begin`. */
  get runId(): string | undefined {
    return this.id;
  }

  get run(): StoredRun | undefined {
    return this.earlier;
  }

  /** Seconds that processes worked on it, this one included. */
  get seconds(): number {
    const own = (performance.now() - this.startedMs) / 1000;
    return (this.earlier?.spentSeconds ?? 0) + own;
  }

  /** Makes the run, unless it is there. */
  begin(create: () => string): string {
    if (this.id === undefined) this.belongsTo(create());
    this.isBegun = true;
    return this.id!;
  }

  private belongsTo(id: string): void {
    this.id = id;
    this.journal.flush = () => this.store.append(id, { journal: this.journal.take() });
  }

  /**
   * Records an event and shows it; what a person saw is there after a crash.
   * @throws StoreError when it cannot be written, or comes out otherwise than it was recorded
   * @throws PauseError when that was asked for
   */
  readonly emit = (event: RunEvent, state?: () => unknown): void => {
    if (!this.isBegun || this.id === undefined || event.kind === 'progress') {
      this.onEvent(event);
      if (this.isBegun) this.look();
      return;
    }
    this.seq++;
    if (this.seq <= this.acknowledged) {
      this.compare(event);
      if (event.kind === 'step') this.tellReplay();
      return;
    }
    const request = event.kind === 'step' ? this.store.requested(this.id) : undefined;
    const keeps = state && event.kind === 'step' && (this.isDue || request === 'pause');
    const begun = performance.now();
    this.store.append(this.id, {
      events: [event],
      journal: [...this.journal.take(), ...markOf(event)],
      ...(keeps ? { checkpoint: { step: event.step, state: state(), ...this.pinned } } : {}),
    });
    if (keeps) {
      const now = performance.now();
      this.checkpointAt = now + (this.apartMs && Math.max(this.apartMs, (now - begun) / SHARE));
    }
    this.onEvent(event);
    if (request) this.obey(request);
  };

  /** The newest state of a step that can be gone on from. */
  restored(): Checkpoint | undefined {
    return this.earlier && this.store.recordings.readCheckpoint(this.earlier.id);
  }

  /** The journal's length, with all that waits in it. */
  mark(): number {
    if (this.id === undefined) return 0;
    if (this.seq >= this.acknowledged) this.journal.flush();
    return this.store.recordings.lastJournalSeq(this.id);
  }

  /** Goes on after a state: what it has seen is taken as emitted. */
  goOnAfter({ eventSeq, journalSeq }: Checkpoint, searchBegan: number): void {
    this.seq = eventSeq;
    this.journal.skip(searchBegan, journalSeq);
  }

  /** The end, in one piece with its last event. */
  end(end: RunEnd, event?: RunEvent, prompts?: readonly StoredPrompt[]): void {
    const entry = { journal: this.journal.take(), end, ...(prompts ? { prompts } : {}) };
    this.store.append(this.id!, { ...entry, events: event ? [event] : [] });
  }

  /** An end without a result; answers that wait are left out, since they may be what ended it. */
  leave(end: RunEnd): void {
    const before = this.earlier?.state;
    // What was refused before it went on is what it was.
    const isUntouched = !this.isBegun && (before === 'paused' || before === 'interrupted');
    this.store.append(this.id!, { end: isUntouched ? { state: before } : end });
  }

  private get isDue(): boolean {
    return performance.now() >= this.checkpointAt;
  }

  /** The state that a branch begins with is needed as long as there is no other. */
  private get pinned(): { pinned?: number } {
    const branch = this.earlier?.origin?.branch;
    return branch?.fromState ? { pinned: branch.step } : {};
  }

  private look(): void {
    const now = performance.now();
    if (now < this.lookAt) return;
    this.lookAt = now + LOOK_MS;
    if (this.store.requested(this.id!) === 'pause') this.obey('pause');
  }

  private obey(request: 'pause' | 'stop'): void {
    if (request === 'stop') {
      this.store.request(this.id!, null);
      this.onStop?.();
      return;
    }
    throw new PauseError(
      `run ${this.id} is paused; go on with it by "whetstone runs resume ${this.id}"`,
    );
  }

  private compare(event: RunEvent): void {
    const { first, texts } = this.stored;
    if (this.seq >= first + texts.length) {
      const events = this.store.events(this.id!, { after: this.seq - 1, limit: PAGE });
      this.stored = { first: this.seq, texts: events.map((one) => JSON.stringify(one.event)) };
    }
    const text = this.stored.texts[this.seq - this.stored.first];
    if (text === JSON.stringify(event)) return;
    const what = event.kind === 'step' ? `step ${event.step}` : `its event ${this.seq}`;
    throw new OtherCourseError(
      `run ${this.id}: ${what} comes out otherwise than it was recorded, as on another machine or with other libraries; nothing was mixed, begin anew with "whetstone runs branch ${this.id} --step 0"`,
    );
  }

  private tellReplay(): void {
    const phase = 'following the record';
    this.onEvent({
      kind: 'progress',
      phase,
      done: this.seq,
      total: this.acknowledged,
      unit: 'events',
    });
  }
}

/** Says in the journal that all before it belongs to a step, so that a branch knows where to cut. */
function markOf(event: RunEvent): readonly JournalRow[] {
  return event.kind === 'step' ? [{ key: stepKey(event.step), data: new Uint8Array() }] : [];
}

export interface RecordingOptions {
  readonly onEvent?: OnEvent | undefined;
  /** Called when the search is to end and what was found is to be measured. */
  readonly onStop?: (() => void) | undefined;
  /** Between two states that are kept, at least; 0: every one that is offered. @default 2000 */
  readonly statesApartMs?: number | undefined;
  /** A run that this process has claimed. */
  readonly run?: StoredRun | undefined;
}
