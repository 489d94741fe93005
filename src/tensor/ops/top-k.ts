/** The largest elements along the last axis: what words are drawn among. */
import { apply, type Op, type Tensor } from '../graph.ts';
import { scatterAlong } from './shape.ts';

/** Values and their indices (int64), largest first; of equal values, the one that stands first. */
export const topKOp: Op<{ k: number }> = {
  name: 'topK',
  infer: ([x], { k }) => {
    const shape = [...x!.shape.slice(0, -1), k];
    return [
      { shape, dtype: x!.dtype },
      { shape, dtype: 'int64' },
    ];
  },
  vjp: ({ inputs: [x], outputs: [, at] }, [dy]) => [dy && scatterAlong(x!.shape, at!, dy)],
  emit: ({ inputs, outputs, attributes, node, constant: make }) => {
    const k = make(BigInt64Array.of(BigInt(attributes.k)), [1]);
    node('TopK', [inputs[0]!, k], { outputs, attributes: { axis: -1n, largest: 1n, sorted: 1n } });
  },
};

/** The `k` largest of `x` [..., n], k at most n. */
export function topK(x: Tensor, k: number): { values: Tensor; indices: Tensor } {
  const [values, indices] = apply(topKOp, [x], { k });
  return { values: values!, indices: indices! };
}
