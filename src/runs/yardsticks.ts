/**
 * Solutions scored afresh on the open splits, and the human prompts that every result is held against.
 * Ctrl-C ends a scoring between two passes.
 */
import { humanCandidates, type Solution } from '../methods/index.ts';
import type { Bench } from './bench.ts';
import { bestOf, race, type Scored, scoreOnOpenSplits } from './choose.ts';
import type { RunEvent } from './events.ts';
import type { Journal } from './journal.ts';
import { type Pace, secondsFor } from './pace.ts';

export interface Scoring {
  readonly bench: Bench;
  readonly emit: (event: RunEvent) => void;
  readonly signal: AbortSignal | undefined;
  /** Where decisions are kept that hang on the pace. */
  readonly journal?: Journal | undefined;
}

export interface Yardsticks {
  readonly ordinary: Scored;
  readonly best: Scored;
  /** Candidates that `best` was chosen among. */
  readonly count: number;
  readonly pace: Pace;
}

/** Of a promised time, the share that the human prompts may take; else the first few must do. */
const SHARE = 0.25;
const FIRST_FEW = 8;

/**
 * The human prompts on the open splits: before the search, since their scoring tells the pace.
 * Where all of it must end within `totalSeconds` on a slow machine, the first eight stand for them.
 */
export async function scoreHumans(
  s: Scoring,
  totalSeconds = Number.POSITIVE_INFINITY,
): Promise<Yardsticks> {
  // The first is what somebody would write without trying.
  const written = humanCandidates(s.bench.task).map((text): Solution => ({ kind: 'text', text }));
  const human = (solutions: readonly Solution[]) => ({ what: 'human prompts', solutions, keep: 1 });
  const few = Number.isFinite(totalSeconds) ? written.slice(0, FIRST_FEW) : written;
  let { scored, pace } = await scoreOpen(s, human(few));
  const rest = written.slice(few.length);
  const needed = pace.seconds + secondsFor(pace, rest.length, pace.examples);
  const isFast = () => needed <= SHARE * totalSeconds;
  if (rest.length > 0 && (s.journal ? s.journal.value('human prompts', isFast) : isFast())) {
    const more = await scoreOpen(s, human(rest));
    scored = [...scored, ...more.scored];
    pace = more.pace;
  }
  await s.bench.unload('float32');
  const count = rest.length > 0 && scored.length <= few.length ? few.length : written.length;
  return { ordinary: scored[0]!, best: bestOf(scored), count, pace };
}

/**
 * Solutions on train and validation, after a race where there are many; the first `keep` stay in it.
 * With the pace of it.
 */
export async function scoreOpen(
  { bench, emit, signal }: Scoring,
  { what, solutions, keep = 0 }: { what: string; solutions: readonly Solution[]; keep?: number },
): Promise<{ scored: Scored[]; pace: Pace }> {
  const started = performance.now();
  const phase = `scoring ${what} in float32`;
  const report = (done: number, total?: number) => {
    signal?.throwIfAborted();
    emit({
      kind: 'progress',
      phase,
      // Each is scored on two splits.
      done: Math.round(done / 2),
      ...(total ? { total: total / 2 } : {}),
      unit: 'prompts',
    });
  };
  report(0);
  const left = await race(bench, solutions, () => signal?.throwIfAborted());
  const wanted = [...new Set([...solutions.slice(0, keep), ...left])];
  const scored = await scoreOnOpenSplits(bench, wanted, report);
  const [{ train, validation }] = scored as [Scored];
  const examples = train.examples.length + validation.examples.length;
  const seconds = (performance.now() - started) / 1000;
  return { scored, pace: { seconds, prompts: scored.length, examples } };
}
