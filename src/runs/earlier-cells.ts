/**
 * Cells that another comparison has paid for: the same method with the same options, seed and budget on
 * the same examples and models, by this version. So a method or a split that is added later costs
 * itself alone.
 */
import { sha256Json } from '../util/hash.ts';
import { type Plan, questionOf, type Repetition } from './compare-plan.ts';
import { runsOf, type StoredCell, type StoredComparison } from './comparison-table.ts';
import { type Config, configSchema } from './config.ts';
import type { RunStore } from './store.ts';
import { versions } from './versions.ts';

/** What a comparison keeps of its plan. */
export interface StoredPlan {
  readonly config: Config;
  readonly methods: readonly { readonly name: string; readonly options: unknown }[];
  readonly repetitions: readonly Repetition[];
  /** All of it was to be paid for anew. */
  readonly isFresh?: boolean;
}

type Hashes = Readonly<Record<string, string>>;

/** Cells of earlier comparisons that answer `plan`, under their places in it; the newest first. */
export function earlierCells(store: RunStore, plan: Plan, hashes: Hashes): StoredCell[] {
  const wanted = new Map<string, StoredCell>();
  const question = sha256Json(questionOf(plan.loaded.config));
  const { whetstone } = versions();
  const isOfThisVersion = ({ run }: StoredCell) =>
    run !== undefined && store.getRun(run).versions.whetstone === whetstone;
  for (const comparison of store.comparisons.list()) {
    const old = comparison.plan as StoredPlan;
    // Settings that are newer than the comparison get the defaults that it ran by.
    const config = configSchema.safeParse(old.config);
    if (!config.success || sha256Json(questionOf(config.data)) !== question) continue;
    for (const cell of store.comparisons.cells(comparison.id)) {
      const place = placeIn(plan, hashes, { cell, old, comparison });
      if (place === undefined || wanted.has(place.key) || !isOfThisVersion(cell)) continue;
      wanted.set(place.key, { ...cell, repetition: place.repetition });
    }
  }
  return [...wanted.values()];
}

/** Runs of comparisons that asked the same under another budget: their answers in text are paid for. */
export function runsUnderOtherBudgets(store: RunStore, plan: Plan): string[] {
  const asked = (config: Config) => {
    const { budget: _, ...rest } = questionOf(config) as Config;
    return sha256Json(rest);
  };
  const question = asked(plan.loaded.config);
  return store.comparisons.list().flatMap(({ id, plan: old }) => {
    const config = configSchema.safeParse((old as StoredPlan).config);
    if (!config.success || asked(config.data) !== question) return [];
    return store.comparisons.cells(id).flatMap(runsOf);
  });
}

function placeIn(
  { methods, repetitions }: Plan,
  hashes: Hashes,
  from: { cell: StoredCell; old: StoredPlan; comparison: StoredComparison },
): { key: string; repetition: number } | undefined {
  const { cell, old, comparison } = from;
  if (cell.state !== 'done' && cell.state !== 'untested') return undefined;
  const given = old.repetitions[cell.repetition];
  const repetition = repetitions.findIndex((one) => sha256Json(one) === sha256Json(given));
  const compared = methods.find(({ method }) => method.name === cell.method);
  if (repetition < 0 || !compared) return undefined;
  const options = compared.method.options.safeParse(
    old.methods.find(({ name }) => name === cell.method)?.options,
  );
  const isAlike = options.success && sha256Json(options.data) === sha256Json(compared.options);
  if (!isAlike) return undefined;
  const models = compared.method.needs?.policyLm ? ['taskLm', 'policyLm'] : ['taskLm'];
  const splits = ['train', 'validation', 'test'].map((name) => `split:${name}`);
  const files = `methods.${cell.method}`;
  const isSame =
    [...models, files].every((name) => comparison.hashes[name] === hashes[name]) &&
    splits.every(
      (name) => comparison.hashes[`${cell.repetition} ${name}`] === hashes[`${repetition} ${name}`],
    );
  return isSame ? { key: `${cell.method} ${repetition}`, repetition } : undefined;
}
