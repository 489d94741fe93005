/**
 * Candidates that are best on at least one example. Keeping them all, and not the one with the best
 * mean, is what lets a search combine what different prompts do well.
 *
 * Source: Agrawal et al. 2025, GEPA, arXiv 2507.19457, algorithm 2.
 */
import type { Rng } from '../util/rng.ts';

export interface Scored {
  /** Score by example; absent where it has none. */
  readonly scores: ReadonlyMap<number, number>;
}

/** A candidate of the front, and on how many examples it is best. */
export interface Leader<C extends Scored> {
  readonly candidate: C;
  readonly wins: number;
}

/**
 * The front, without candidates that are best only where another one of it is, too: those with the
 * lowest means go first.
 */
export function paretoFront<C extends Scored>(candidates: readonly C[]): Leader<C>[] {
  const examples = [...new Set(candidates.flatMap(({ scores }) => [...scores.keys()]))];
  const winners = examples.map((example) => {
    const best = candidates.reduce(
      (high, { scores }) => Math.max(high, scores.get(example) ?? Number.NEGATIVE_INFINITY),
      Number.NEGATIVE_INFINITY,
    );
    return new Set(candidates.filter(({ scores }) => scores.get(example) === best));
  });
  const left = new Set(candidates.filter((c) => winners.some((set) => set.has(c))));
  const byMean = [...left].sort((a, b) => meanOf(a) - meanOf(b));
  for (const candidate of byMean) {
    const own = winners.filter((set) => set.has(candidate));
    const isDominated = own.every((set) => [...set].some((c) => c !== candidate && left.has(c)));
    if (isDominated) left.delete(candidate);
  }
  return [...left].map((candidate) => ({
    candidate,
    wins: winners.filter((set) => set.has(candidate)).length,
  }));
}

/** One of the front, drawn by the number of examples that it is best on. */
export function drawLeader<C extends Scored>(front: readonly Leader<C>[], rng: Rng): C {
  const total = front.reduce((sum, { wins }) => sum + wins, 0);
  let at = rng.next() * total;
  for (const { candidate, wins } of front) {
    at -= wins;
    if (at < 0) return candidate;
  }
  return front.at(-1)!.candidate;
}

function meanOf({ scores }: Scored): number {
  return [...scores.values()].reduce((a, b) => a + b, 0) / Math.max(1, scores.size);
}
