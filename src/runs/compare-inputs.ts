/** What a comparison works on: its splits with the models, its methods with their files, and the hashes of both. */
import { sha256Json } from '../util/hash.ts';
import type { Bench, OpenOptions } from './bench.ts';
import { noCache } from './cell-journals.ts';
import type { CompareEvent } from './compare-events.ts';
import { type ComparedMethod, type Plan, taskOf } from './compare-plan.ts';
import { completedOptions } from './configured-method.ts';
import { nameOf } from './model-reference.ts';
import { openBench } from './open-bench.ts';
import { Workbench } from './workbench.ts';

/** One workbench a repetition; those of the same split are one. */
export async function openBenches(
  { loaded, repetitions }: Plan,
  emit: (event: CompareEvent) => void,
  { signal, openText, journal }: Pick<OpenOptions, 'signal' | 'openText' | 'journal'>,
): Promise<Bench[]> {
  const bySplit = new Map<string | undefined, Bench>();
  let first: Bench | undefined;
  try {
    for (const repetition of repetitions) {
      if (bySplit.has(repetition.split)) continue;
      const task = taskOf(loaded, repetition);
      const config = { ...loaded.config, task };
      const bench = first
        ? await first.with(task)
        : await openBench(
            { ...loaded, config },
            {
              signal,
              openText,
              journal,
              cache: noCache,
              onProgress: (progress) => emit({ kind: 'progress', ...progress }),
              onWarning: (message) => emit({ kind: 'warning', message }),
            },
          );
      first ??= bench;
      bySplit.set(repetition.split, bench);
    }
  } catch (error) {
    await first?.close();
    throw error;
  }
  return repetitions.map(({ split }) => bySplit.get(split)!);
}

/** The methods with what their files hold. @throws ConfigError and DataError for what one cannot work with */
export async function completedMethods(
  { methods, loaded: { folder } }: Plan,
  benches: readonly Bench[],
): Promise<ComparedMethod[]> {
  const out: ComparedMethod[] = [];
  for (const { method, options } of methods) {
    let completed: unknown = options;
    for (const { task } of new Set(benches)) {
      completed = await completedOptions(method, options, { task, folder });
    }
    out.push({ method, options: completed });
  }
  return out;
}

/** Of the data files, the models, and what methods have read from files: what decides a comparison's result. */
export async function hashesOf(
  plan: Plan,
  benches: readonly Bench[],
  completed: readonly ComparedMethod[],
): Promise<Record<string, string>> {
  const { methods, loaded } = plan;
  const [bench] = benches as [Bench, ...Bench[]];
  const writes = methods.some(({ method }) => method.needs?.policyLm);
  const policyLm =
    writes && bench instanceof Workbench
      ? (await bench.policyLm()).key
      : nameOf(loaded.config.policyLm);
  const data = benches.flatMap(({ task }, i) =>
    Object.entries(task.hashes).map(([name, hash]) => [
      name.startsWith('split:') ? `${i} ${name}` : name,
      hash,
    ]),
  );
  const models = { taskLm: bench.taskLm.key, policyLm };
  return { ...Object.fromEntries(data), ...models, ...fileHashes(plan, completed) };
}

/** Of what was read from files that options name. */
function fileHashes(
  { methods }: Plan,
  completed: readonly ComparedMethod[],
): Record<string, string> {
  const read = completed.filter(({ options }, i) => options !== methods[i]!.options);
  return Object.fromEntries(
    read.map(({ method, options }) => [`methods.${method.name}`, sha256Json(options)]),
  );
}
