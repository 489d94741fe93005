/**
 * Holm's step-down correction for several tests: keeps the chance of one false claim among all of
 * them below alpha, and is never weaker than Bonferroni's.
 *
 * Source: S. Holm, Scandinavian Journal of Statistics 6 (1979), 65–70.
 */

/** Adjusted p-values, in the order given: reject where they are at most alpha. */
export function holm(pValues: readonly number[]): number[] {
  const order = pValues.map((_, i) => i).sort((a, b) => pValues[a]! - pValues[b]!);
  const adjusted = new Array<number>(pValues.length);
  let highest = 0;
  order.forEach((index, rank) => {
    highest = Math.max(highest, Math.min(1, (pValues.length - rank) * pValues[index]!));
    adjusted[index] = highest;
  });
  return adjusted;
}
