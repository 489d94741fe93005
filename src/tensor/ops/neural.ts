/** Fused ops of transformer layers: normalisation and rotary position embedding. */
import { ShapeError } from '../../errors.ts';
import { show } from '../dims.ts';
import { apply, constant, type Op, type Tensor, type TensorType } from '../graph.ts';
import { add, div, mul, neg, sub } from './elementwise.ts';
import { reduceMean, reduceSum } from './reduce.ts';
import { concat, elementCount, expand, slice } from './shape.ts';

/**
 * y = x / rms(x) · g over the last axis. The second output is 1 / rms(x), kept for the gradient.
 * Source: arXiv 1910.07467, equation 4.
 */
export const rmsNormOp: Op<{ epsilon: number }> = {
  name: 'rmsNorm',
  infer: ([x, g]) => {
    checkLastAxis('rmsNorm: gain', g!, x!);
    return [
      { shape: x!.shape, dtype: 'float32' },
      { shape: [...x!.shape.slice(0, -1), 1], dtype: 'float32' },
    ];
  },
  // With r = 1/rms, n = x·r, u = dy∘g: dx = r·(u − n·mean(u∘n)) − dr·r²·n/D; dg = Σ dy∘n
  vjp: ({ inputs: [x, g], outputs: [y, r] }, cotangents) => {
    const dy = cotangents[0] ?? zeros(y!);
    const n = mul(x!, r!);
    const u = mul(dy, g!);
    let dx = mul(r!, sub(u, mul(n, reduceMean(mul(u, n), [-1], true))));
    if (cotangents[1]) dx = sub(dx, mul(mul(cotangents[1], mul(r!, r!)), div(n, width(x!))));
    return [dx, reduceSum(mul(dy, n), leadingAxes(x!))];
  },
  emit: ({ inputs, outputs, attributes, node }) => {
    node('SimplifiedLayerNormalization', inputs, {
      outputs,
      attributes: { axis: -1n, epsilon: attributes.epsilon },
    });
  },
};

/** RMS normalisation of the last axis of `x` [..., D] with gain [D]. */
export function rmsNorm(x: Tensor, gain: Tensor, epsilon: number): Tensor {
  return apply(rmsNormOp, [x, gain], { epsilon })[0]!;
}

/** y = (x − mean) / deviation · g + b over the last axis. Source: arXiv 1607.06450. */
export const layerNormOp: Op<{ epsilon: number }> = {
  name: 'layerNorm',
  infer: ([x, g, b]) => {
    checkLastAxis('layerNorm: gain', g!, x!);
    checkLastAxis('layerNorm: bias', b!, x!);
    const kept = [...x!.shape.slice(0, -1), 1];
    return [
      { shape: x!.shape, dtype: 'float32' },
      { shape: kept, dtype: 'float32' },
      { shape: kept, dtype: 'float32' },
    ];
  },
  // n = (x − m)·s, u = dy∘g: dx = s·(u − mean(u) − n·mean(u∘n)) + dm/D − ds·s²·n/D
  vjp: ({ inputs: [x, g], outputs: [y, m, s] }, cotangents) => {
    const dy = cotangents[0] ?? zeros(y!);
    const n = mul(sub(x!, m!), s!);
    const u = mul(dy, g!);
    const centred = sub(u, reduceMean(u, [-1], true));
    let dx = mul(s!, sub(centred, mul(n, reduceMean(mul(u, n), [-1], true))));
    if (cotangents[1]) dx = add(dx, div(cotangents[1], width(x!)));
    if (cotangents[2]) dx = sub(dx, mul(mul(cotangents[2], mul(s!, s!)), div(n, width(x!))));
    return [dx, reduceSum(mul(dy, n), leadingAxes(x!)), reduceSum(dy, leadingAxes(x!))];
  },
  emit: ({ inputs, outputs, attributes, node }) => {
    node('LayerNormalization', inputs, {
      outputs,
      attributes: { axis: -1n, epsilon: attributes.epsilon },
    });
  },
};

/** Layer normalisation of the last axis of `x` [..., D] with gain and bias [D]. */
export function layerNorm(x: Tensor, gain: Tensor, bias: Tensor, epsilon: number): Tensor {
  return apply(layerNormOp, [x, gain, bias], { epsilon })[0]!;
}

/**
 * Rotary position embedding of `x` [..., d]: halves (a, b) become (a·cos − b·sin, b·cos + a·sin).
 * `cos` and `sin` [..., d/2] broadcast against the halves. Source: arXiv 2104.09864, section 3.4.2.
 */
export function rotate(x: Tensor, cos: Tensor, sin: Tensor): Tensor {
  const half = (x.shape.at(-1) as number) / 2;
  const a = slice(x, -1, 0, half);
  const b = slice(x, -1, half, 2 * half);
  return concat([sub(mul(a, cos), mul(b, sin)), add(mul(b, cos), mul(a, sin))], -1);
}

/**
 * Rotary embedding as one kernel: `x` [B, T, heads·d], `positions` [B, T], tables [positions, d/2].
 * The gradient is the same op with the sine turned round.
 */
export const rotaryOp: Op<{ heads: number }> = {
  name: 'rotary',
  infer: ([x]) => [{ shape: x!.shape, dtype: 'float32' }],
  vjp: ({ inputs: [, positions, cos, sin], attributes }, [dy]) => [
    rotary(dy!, positions!, cos!, neg(sin!), attributes.heads),
    undefined,
    undefined,
    undefined,
  ],
  emit: ({ inputs, outputs, attributes, node }) => {
    node('RotaryEmbedding', inputs, {
      outputs,
      domain: 'com.microsoft',
      attributes: { num_heads: BigInt(attributes.heads), rotary_embedding_dim: 0n },
    });
  },
};

export function rotary(
  x: Tensor,
  positions: Tensor,
  cos: Tensor,
  sin: Tensor,
  heads: number,
): Tensor {
  return apply(rotaryOp, [x, positions, cos, sin], { heads })[0]!;
}

function checkLastAxis(what: string, vector: TensorType, x: TensorType): void {
  if (vector.shape.length !== 1 || vector.shape[0] !== x.shape.at(-1)) {
    throw new ShapeError(`${what} ${show(vector.shape)} does not fit ${show(x.shape)}`);
  }
}

const zeros = (like: Tensor): Tensor => expand(constant(0), like.shape);
const width = (x: Tensor): Tensor => elementCount(x.shape.slice(-1));

function leadingAxes(x: Tensor): number[] {
  return x.shape.slice(0, -1).map((_, i) => i);
}
