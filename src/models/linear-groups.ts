/** Linear layers that read the same rows: they are quantised alike, and may be one matrix. */
import type { WeightSpec } from './architecture.ts';

export interface LinearGroup {
  readonly layers: readonly WeightSpec[];
  /** Gain and shift of the norm whose rows they read, if they read one's. */
  readonly norms: readonly string[];
}

export function linearGroups(specs: readonly WeightSpec[]): LinearGroup[] {
  const groups = new Map<string, { layers: WeightSpec[]; norms: readonly string[] }>();
  for (const layer of specs) {
    if (!layer.isLinear) continue;
    const key = layer.after?.join() ?? layer.name;
    const group = groups.get(key) ?? { layers: [], norms: layer.after ?? [] };
    group.layers.push(layer);
    groups.set(key, group);
  }
  return [...groups.values()];
}
