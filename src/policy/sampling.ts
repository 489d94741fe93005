/** Sampling one action from logits: temperature, top-k. */
import type { Rng } from '../util/rng.ts';

export interface SampledAction {
  readonly action: number;
  /** Under the whole, untruncated distribution at temperature 1: what the losses use. */
  readonly logProb: number;
  /** Under the tempered, truncated distribution that it was drawn from. */
  readonly sampledLogProb: number;
  /** Entropy of the whole distribution at temperature 1, in nats. */
  readonly entropy: number;
}

/** Draws from softmax(logits / temperature) among the `topK` highest (0: all). */
export function sampleAction(
  logits: Float32Array,
  { temperature, topK }: { temperature: number; topK: number },
  rng: Rng,
): SampledAction {
  let largest = Number.NEGATIVE_INFINITY;
  for (const x of logits) if (x > largest) largest = x;
  let total = 0;
  let weighted = 0;
  for (const x of logits) {
    const e = Math.exp(x - largest);
    total += e;
    weighted += e * (x - largest);
  }
  const logTotal = Math.log(total);
  const threshold =
    topK > 0 && topK < logits.length ? kthLargest(logits, topK) : Number.NEGATIVE_INFINITY;
  let mass = 0;
  for (const x of logits) if (x >= threshold) mass += Math.exp((x - largest) / temperature);
  let rest = rng.next() * mass;
  let action = -1;
  for (let a = 0; a < logits.length; a++) {
    if (logits[a]! < threshold) continue;
    action = a;
    rest -= Math.exp((logits[a]! - largest) / temperature);
    if (rest <= 0) break;
  }
  return {
    action,
    logProb: logits[action]! - largest - logTotal,
    sampledLogProb: (logits[action]! - largest) / temperature - Math.log(mass),
    entropy: logTotal - weighted / total,
  };
}

/** The k-th largest value, by quickselect: linear time on average. */
export function kthLargest(values: Float32Array, k: number): number {
  const a = values.slice();
  let [low, high] = [0, a.length - 1];
  const wanted = a.length - k;
  while (low < high) {
    const pivot = a[(low + high) >> 1]!;
    let [i, j] = [low, high];
    while (i <= j) {
      while (a[i]! < pivot) i++;
      while (a[j]! > pivot) j--;
      if (i <= j) {
        const kept = a[i]!;
        a[i++] = a[j]!;
        a[j--] = kept;
      }
    }
    if (wanted <= j) high = j;
    else if (wanted >= i) low = i;
    else break;
  }
  return a[wanted]!;
}
