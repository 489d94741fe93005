/** Losses composed of ops. Each gives one value a position; how to weigh and sum is the caller's. */
import type { Tensor } from './graph.ts';
import { neg } from './ops/elementwise.ts';
import { logSoftmax } from './ops/reduce.ts';
import { reshape, takeAlong } from './ops/shape.ts';

/** Cross-entropy −log p(label) of `logits` [..., V] and `labels` [...] (int64), in nats: [...]. */
export function crossEntropy(logits: Tensor, labels: Tensor): Tensor {
  const index = reshape(labels, [...labels.shape, 1]);
  return neg(reshape(takeAlong(logSoftmax(logits), index), labels.shape));
}
