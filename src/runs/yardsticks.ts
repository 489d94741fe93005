/**
 * Solutions scored afresh on the open splits, and the human prompts that every result is held against.
 * Ctrl-C ends a scoring between two passes.
 */
import { humanCandidates, type Solution } from '../methods/index.ts';
import { bestOf, race, type Scored, scoreOnOpenSplits } from './choose.ts';
import type { RunEvent } from './events.ts';
import type { Pace } from './pace.ts';
import type { Workbench } from './workbench.ts';

/** What somebody would write without trying: the yardstick of every table. */
export const ORDINARY = 'Sentiment:';

export interface Scoring {
  readonly bench: Workbench;
  readonly emit: (event: RunEvent) => void;
  readonly signal: AbortSignal | undefined;
}

export interface Yardsticks {
  readonly ordinary: Scored;
  readonly best: Scored;
  /** Candidates that `best` was chosen among. */
  readonly count: number;
  readonly pace: Pace;
}

/** The human prompts on the open splits: before the search, since their scoring tells the pace. */
export async function scoreHumans(s: Scoring): Promise<Yardsticks> {
  const written = [...new Set([ORDINARY, ...humanCandidates])].map(
    (text): Solution => ({ kind: 'text', text }),
  );
  const started = performance.now();
  const scored = await scoreOpen(s, { what: 'human prompts', solutions: written, keep: 1 });
  await s.bench.unload('float32');
  return {
    ordinary: scored[0]!,
    best: bestOf(scored),
    count: written.length,
    pace: {
      seconds: (performance.now() - started) / 1000,
      prompts: scored.length,
      examples: scored[0]!.train.examples.length + scored[0]!.validation.examples.length,
    },
  };
}

/** Solutions on train and validation, after a race where there are many; the first `keep` stay in it. */
export async function scoreOpen(
  { bench, emit, signal }: Scoring,
  { what, solutions, keep = 0 }: { what: string; solutions: readonly Solution[]; keep?: number },
): Promise<Scored[]> {
  const phase = `scoring ${what} in float32`;
  const report = (done: number, total?: number) => {
    signal?.throwIfAborted();
    emit({
      kind: 'progress',
      phase,
      done: Math.round(done),
      ...(total ? { total } : {}),
      unit: 'prompts',
    });
  };
  report(0);
  const left = await race(bench, solutions, () => signal?.throwIfAborted());
  return scoreOnOpenSplits(bench, [...new Set([...solutions.slice(0, keep), ...left])], report);
}
