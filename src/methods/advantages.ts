/** From the rewards of one group of samples to their advantages: one pure function a way. */

export type Advantages = (rewards: readonly number[]) => number[];

/** A = (R − mean) / (σ + 1e-4), population deviation. Source: DeepSeekMath, arXiv 2402.03300, 4.1.2. */
export const groupRelative: Advantages = (rewards) => {
  const centred = lessMean(rewards);
  const deviation = Math.sqrt(meanOf(centred.map((x) => x * x)));
  return centred.map((x) => x / (deviation + 1e-4));
};

/** A = R − mean: without the division. Source: Dr. GRPO, arXiv 2503.20783, 3.2. */
export const lessMean: Advantages = (rewards) => {
  // Said apart, because the rounding of a mean would leave something of equal rewards.
  if (isFlat(rewards)) return rewards.map(() => 0);
  const mean = meanOf(rewards);
  return rewards.map((r) => r - mean);
};

/** A = R − the mean of the others. Source: RLOO, arXiv 2402.14740, equation 8. */
export const leaveOneOut: Advantages = (rewards) => {
  const share = rewards.length / Math.max(1, rewards.length - 1);
  return lessMean(rewards).map((x) => x * share);
};

/** True where all rewards are one, and a group teaches nothing. */
export function isFlat(rewards: readonly number[]): boolean {
  return rewards.every((r) => r === rewards[0]);
}

function meanOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
