/** What the parts of a comparison share: its plan, what it works with, and the cells so far. */
import type { Bench } from './bench.ts';
import type { CellJournals } from './cell-journals.ts';
import type { CellEvent, CompareEvent } from './compare-events.ts';
import type { Plan } from './compare-plan.ts';
import type { StoredCell } from './comparison-table.ts';
import type { RunStore } from './store.ts';

export interface Grid {
  readonly id: string;
  readonly plan: Plan;
  /** One a repetition. */
  readonly benches: readonly Bench[];
  /** What the benches keep their answers in. */
  readonly journals: CellJournals;
  readonly cells: Map<string, StoredCell>;
  readonly store: RunStore;
  readonly signal: AbortSignal | undefined;
  readonly emit: (event: CompareEvent) => void;
}

export const keyOf = (method: string, repetition: number): string => `${method} ${repetition}`;

export function putCell(grid: Grid, cell: StoredCell): void {
  grid.store.comparisons.putCell(grid.id, cell);
  grid.cells.set(keyOf(cell.method, cell.repetition), cell);
  grid.emit(cellEvent(grid, cell));
}

export function cellEvent(grid: Grid, cell: StoredCell): CellEvent {
  const { method, repetition, state, run, outcome, error } = cell;
  return {
    kind: 'cell',
    method,
    repetition,
    ...grid.plan.repetitions[repetition]!,
    state,
    ...(run === undefined ? {} : { runId: run }),
    ...(outcome ? { seconds: outcome.found.seconds } : {}),
    ...(error === undefined ? {} : { error }),
    ...countOf(grid),
  };
}

export function countOf({ plan, cells }: Grid): { done: number; total: number } {
  const done = [...cells.values()].filter(({ state }) => state !== 'running').length;
  return { done, total: plan.methods.length * plan.repetitions.length };
}
