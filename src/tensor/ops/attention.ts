/**
 * Attention as one kernel, over keys and values from before and the rows' own. Heads may share keys
 * (grouped queries); what a row sees, an additive mask says.
 *
 * Source: arXiv 1706.03762, equation 1; grouped queries arXiv 2305.13245; ONNX Attention, opset 23.
 */
import { ShapeError } from '../../errors.ts';
import { type Dim, product, sameShape, show, sum } from '../dims.ts';
import { apply, constant, type Op, type Tensor } from '../graph.ts';
import { add, mul, sub } from './elementwise.ts';
import { matmul } from './matmul.ts';
import { reduceSum, softmax, sumTo } from './reduce.ts';
import { expand, reshape, split, transpose } from './shape.ts';

interface AttentionAttributes {
  readonly heads: number;
  readonly kvHeads: number;
  /** Multiplies the scores before the mask is added. */
  readonly scale: number;
}

/**
 * Inputs q [G, M, H·d], k and v [G, M, KV·d], mask [G or 1, 1, M, L+M], pastK and pastV
 * [G, KV, L, d]; outputs y [G, M, H·d], and all keys and values [G, KV, L+M, d].
 */
export const attentionOp: Op<AttentionAttributes> = {
  name: 'attention',
  infer: ([q, k, v, mask, pastK, pastV], { heads, kvHeads }) => {
    const [G, M, D] = q!.shape;
    const d = Number(D) / heads;
    const L = pastK!.shape[2]!;
    const all = [G!, kvHeads, sum(L, M!), d];
    const fits =
      heads % kvHeads === 0 &&
      [k!, v!].every(({ shape }) => sameShape(shape, [G!, M!, kvHeads * d])) &&
      [pastK!, pastV!].every(({ shape }) => sameShape(shape, [G!, kvHeads, L, d])) &&
      [G, 1].some((first) => sameShape(mask!.shape, [first!, 1, M!, all[2]!]));
    if (!fits) {
      const shapes = [q, k, v, mask, pastK, pastV].map((x) => show(x!.shape)).join(', ');
      throw new ShapeError(`attention of ${heads} heads over ${kvHeads}: ${shapes} do not fit`);
    }
    return [q!.shape, all, all].map((shape) => ({ shape, dtype: 'float32' as const }));
  },
  // The weights W are computed again. With dW = dY·Vᵀ: dS = W∘(dW − Σ dW∘W), dQ = α·dS·K, dK = α·dSᵀ·Q.
  vjp: ({ inputs: [q, , , mask, pastK], outputs: [, keys, values], attributes }, cotangents) => {
    const { heads, kvHeads: KV, scale } = attributes;
    const [G, M, D] = q!.shape as [Dim, Dim, number];
    const [g, d] = [heads / KV, D / heads];
    const LM = keys!.shape[2]!;
    const [rows, whole] = [product([g, M]), [G, KV, g, M, LM]];
    const fold = (x: Tensor) =>
      reshape(transpose(reshape(x, [G, M, KV, g, d]), [0, 2, 3, 1, 4]), [G, KV, rows, d]);
    const Q = fold(q!);
    const scores = matmul(Q, keys!, { transB: true, alpha: scale }); // [G, KV, g·M, L+M]
    const seen = reshape(mask!, [mask!.shape[0]!, 1, 1, M, LM]);
    const W = softmax(add(reshape(scores, whole), seen)); // [G, KV, g, M, L+M]
    const flat = [G, KV, rows, LM];
    const dY = fold(cotangents[0] ?? expand(constant(0), q!.shape));
    const dW = reshape(matmul(dY, values!, { transB: true }), whole);
    const dS = mul(W, sub(dW, reduceSum(mul(dW, W), [-1], true)));
    const dRows = reshape(dS, flat);
    const dQ = reshape(matmul(dRows, keys!, { alpha: scale }), [G, KV, g, M, d]);
    const plus = (x: Tensor, other: Tensor | undefined) => (other ? add(x, other) : x);
    const dKeys = plus(matmul(dRows, Q, { transA: true, alpha: scale }), cotangents[1]);
    const dValues = plus(matmul(reshape(W, flat), dY, { transA: true }), cotangents[2]);
    const halves = (x: Tensor) => {
      const [past, own] = split(x, [pastK!.shape[2]!, M], 2);
      return [past!, reshape(transpose(own!, [0, 2, 1, 3]), [G, M, KV * d])] as const;
    };
    const [dPastK, dK] = halves(dKeys);
    const [dPastV, dV] = halves(dValues);
    return [
      reshape(transpose(dQ, [0, 3, 1, 2, 4]), [G, M, D]),
      dK,
      dV,
      sumTo(reshape(reduceSum(dS, [1, 2]), [G, 1, M, LM]), mask!.shape),
      dPastK,
      dPastV,
    ];
  },
  emit: ({ inputs, outputs, attributes: { heads, kvHeads, scale }, node }) => {
    const attributes = { q_num_heads: BigInt(heads), kv_num_heads: BigInt(kvHeads), scale };
    node('Attention', inputs, { outputs, attributes });
  },
};

export interface AttentionInputs {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly mask: Tensor;
  readonly pastK: Tensor;
  readonly pastV: Tensor;
}

/** What every row of `q` reads of the past and of its own group, [G, M, H·d]. */
export function attention(
  { q, k, v, mask, pastK, pastV }: AttentionInputs,
  attributes: AttentionAttributes,
): Tensor {
  return apply(attentionOp, [q, k, v, mask, pastK, pastV], attributes)[0]!;
}
