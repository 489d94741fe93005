/** Which comparison of the store goes on, what a new one takes over from others, or that all is paid for anew. */
import { sha256Json } from '../util/hash.ts';
import type { CompareEvent } from './compare-events.ts';
import type { Plan } from './compare-plan.ts';
import type { StoredCell } from './comparison-table.ts';
import { earlierCells, type StoredPlan } from './earlier-cells.ts';
import { keyOf } from './grid.ts';
import type { RunStore } from './store.ts';

/** The stored comparison that asked the same of the same data and models, or a new one. */
export function chooseComparison(
  plan: Plan,
  hashes: Record<string, string>,
  {
    store,
    fresh,
    emit,
  }: {
    readonly store: RunStore;
    readonly fresh?: boolean | undefined;
    readonly emit: (event: CompareEvent) => void;
  },
): string {
  const earlier = fresh ? [] : store.comparisons.find(plan.question);
  const same = earlier.find((one) => sha256Json(one.hashes) === sha256Json(hashes));
  if (!same && earlier[0]) {
    const old = earlier[0].hashes;
    const changed = Object.keys(hashes).filter((name) => old[name] !== hashes[name]);
    emit({
      kind: 'warning',
      message: `${changed.join(', ')} changed since comparison ${earlier[0].id}: a new one begins`,
    });
  }
  const { loaded, methods, repetitions } = plan;
  const stored: StoredPlan = {
    config: loaded.config,
    methods: methods.map(({ method, options }) => ({ name: method.name, options })),
    repetitions,
    ...(fresh ? { isFresh: true } : {}),
  };
  const { question } = plan;
  const id = same?.id ?? store.comparisons.create({ question, hashes, plan: stored });
  if (!isFresh(store, id)) takeOver(store, id, earlierCells(store, plan, hashes));
  return id;
}

/** Whether all of a comparison was to be paid for anew. */
export function isFresh(store: RunStore, id: string): boolean {
  return (store.comparisons.get(id).plan as StoredPlan).isFresh === true;
}

/** Cells that others have paid for, where this comparison has none of its own. */
function takeOver(store: RunStore, id: string, paid: readonly StoredCell[]): void {
  const own = new Set<string>();
  for (const { method, repetition, state } of store.comparisons.cells(id)) {
    if (state !== 'running') own.add(keyOf(method, repetition));
  }
  for (const cell of paid) {
    if (own.has(keyOf(cell.method, cell.repetition))) continue;
    const outcome = { ...cell.outcome!, isTaken: true };
    store.comparisons.putCell(id, { ...cell, outcome });
  }
}
