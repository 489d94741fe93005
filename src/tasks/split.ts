/**
 * Seeded, stratified division of examples. Every draw is made within a label, so that splits keep the
 * labels' proportions; the result keeps the order of the input.
 */
import { DataError } from '../errors.ts';
import type { Rng } from '../util/rng.ts';
import { excerpt } from './excerpt.ts';

interface Labelled {
  /** Without one, all are of one kind. */
  readonly label?: number;
}

export interface SplitPart {
  readonly name: string;
  /** Relative to the other parts' shares, above 0. */
  readonly share: number;
}

interface Names {
  /** Gold value of each label, for messages. */
  readonly golds: readonly string[];
}

/**
 * Divides the examples into the parts, at least one of each occurring label in each.
 * @throws DataError when a label has fewer examples than there are parts
 */
export function splitStratified<T extends Labelled>(
  examples: readonly T[],
  parts: readonly SplitPart[],
  rng: Rng,
  { golds }: Names,
): T[][] {
  const taken = parts.map((): Set<T> => new Set());
  for (const [label, members] of byLabel(examples)) {
    if (members.length < parts.length) {
      const names = parts.map(({ name }) => name).join(', ');
      throw new DataError(
        `label "${excerpt(golds[label]!)}" has ${count(members.length)}, too few for the ` +
          `${parts.length} splits ${names}; add examples or give a file per split`,
      );
    }
    const shuffled = rng.fork(`split ${label}`).shuffle(members);
    let start = 0;
    const sizes = apportion(members.length, parts.map(({ share }) => share)); // biome-ignore format: one call
    sizes.forEach((size, part) => {
      for (const example of shuffled.slice(start, start + size)) taken[part]!.add(example);
      start += size;
    });
  }
  return taken.map((set) => examples.filter((example) => set.has(example)));
}

/**
 * Draws `shots` examples of each label for each named part; the last result is what remains.
 * @throws DataError when a label has too few
 */
export function takeShots<T extends Labelled>(
  examples: readonly T[],
  shots: number,
  partNames: readonly string[],
  rng: Rng,
  { golds }: Names,
): { readonly parts: T[][]; readonly rest: T[] } {
  const taken = partNames.map((): Set<T> => new Set());
  const drawn = new Set<T>();
  for (const [label, members] of byLabel(examples)) {
    const needed = shots * partNames.length;
    if (members.length < needed) {
      throw new DataError(
        `label "${excerpt(golds[label]!)}" has ${count(members.length)}, too few for ` +
          `${shots} shots in ${partNames.join(' and ')}; lower task.shots to ` +
          `${Math.floor(members.length / partNames.length)} or add examples`,
      );
    }
    rng
      .fork(`shots ${label}`)
      .shuffle(members)
      .slice(0, needed)
      .forEach((example, i) => {
        taken[Math.floor(i / shots)]!.add(example);
        drawn.add(example);
      });
  }
  return {
    parts: taken.map((set) => examples.filter((example) => set.has(example))),
    rest: examples.filter((example) => !drawn.has(example)),
  };
}

/** At most `size` of the examples, labels in proportion and at least one of each if there is room. */
export function sampleStratified<T extends Labelled>(
  examples: readonly T[],
  size: number,
  rng: Rng,
): readonly T[] {
  if (examples.length <= size) return examples;
  const groups = [...byLabel(examples)];
  const sizes = apportion(size, groups.map(([, members]) => members.length)); // biome-ignore format: one call
  const kept = new Set<T>();
  groups.forEach(([label, members], i) => {
    const shuffled = rng.fork(`sample ${label}`).shuffle(members);
    for (const example of shuffled.slice(0, sizes[i])) kept.add(example);
  });
  return examples.filter((example) => kept.has(example));
}

/**
 * Whole numbers that add up to `total`, in proportion to the shares (largest remainders), none 0
 * while `total` allows it.
 */
export function apportion(total: number, shares: readonly number[]): number[] {
  const sum = shares.reduce((a, b) => a + b, 0);
  const exact = shares.map((share) => (total * share) / sum);
  const sizes = exact.map(Math.floor);
  const order = exact.map((_, i) => i).sort((a, b) => remainder(b) - remainder(a) || a - b);
  const left = total - sizes.reduce((a, b) => a + b, 0);
  for (let i = 0; i < left; i++) sizes[order[i]!]!++;
  for (let empty = sizes.indexOf(0); empty >= 0 && total >= shares.length; ) {
    sizes[sizes.indexOf(Math.max(...sizes))]!--;
    sizes[empty] = 1;
    empty = sizes.indexOf(0);
  }
  return sizes;

  function remainder(i: number): number {
    return exact[i]! - Math.floor(exact[i]!);
  }
}

function byLabel<T extends Labelled>(examples: readonly T[]): Map<number, T[]> {
  const groups = new Map<number, T[]>();
  for (const example of examples) {
    const label = example.label ?? 0;
    const group = groups.get(label);
    if (group === undefined) groups.set(label, [example]);
    else group.push(example);
  }
  return new Map([...groups].sort(([a], [b]) => a - b));
}

function count(n: number): string {
  return n === 1 ? '1 example' : `${n} examples`;
}
