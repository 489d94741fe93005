/**
 * Cases for every op: small graphs over named inputs, with fixed and symbolic dimensions, broadcast
 * operands, and several outputs. `gradients.test.ts` runs each of them four ways.
 */
import { pathConsistency } from '../../src/methods/path-consistency.ts';
import { type Dim, type Shape, sizeOf, sum } from '../../src/tensor/dims.ts';
import { constantOp } from '../../src/tensor/graph.ts';
import * as t from '../../src/tensor/index.ts';
import { input, type Tensor, type Value, value } from '../../src/tensor/index.ts';
import { attentionOp } from '../../src/tensor/ops/attention.ts';
import { layerNormOp, rmsNormOp } from '../../src/tensor/ops/neural.ts';
import { createRng } from '../../src/util/rng.ts';

/** What the symbols of all cases stand for. */
export const symbols: ReadonlyMap<string, number> = new Map([
  ['B', 2],
  ['T', 3],
  ['L', 4],
  ['N', 5],
]);

export interface Given {
  readonly tensor: Tensor;
  readonly value: Value;
}

export interface OpCase {
  readonly name: string;
  /** Fresh inputs and what is computed of them. */
  build(): { readonly inputs: readonly Given[]; readonly outputs: readonly Tensor[] };
}

type Build = (given: Givens) => Tensor | readonly Tensor[];

/** Makes the inputs of one case, with values from a generator seeded by the case's name. */
class Givens {
  readonly list: Given[] = [];
  private readonly rng;

  constructor(seed: string) {
    this.rng = createRng(seed);
  }

  /** Standard normal numbers. */
  real(...shape: Dim[]): Tensor {
    return this.add(shape, () => this.rng.normal());
  }

  /** Numbers from 0.4 to 1.4. */
  positive(...shape: Dim[]): Tensor {
    return this.add(shape, () => 0.4 + this.rng.next());
  }

  /** Whole numbers from 0 up to, and without, `below`. */
  whole(below: number, ...shape: Dim[]): Tensor {
    return this.add(shape, () => this.rng.integer(below), 'int64');
  }

  private add(shape: Shape, draw: () => number, dtype: 'float32' | 'int64' = 'float32'): Tensor {
    const sizes = shape.map((dim) => sizeOf(dim, symbols));
    const size = sizes.reduce((a, b) => a * b, 1);
    const tensor = input(`x${this.list.length}`, shape, dtype);
    // The engine reads float32, so both sides start from the same numbers.
    this.list.push({ tensor, value: value(Float32Array.from({ length: size }, draw), sizes) });
    return tensor;
  }
}

function cases(op: string, builds: Readonly<Record<string, Build>>): OpCase[] {
  return Object.entries(builds).map(([what, build]) => {
    const name = `${op}: ${what}`;
    return {
      name,
      build: () => {
        const givens = new Givens(name);
        const outputs = build(givens);
        return {
          inputs: givens.list,
          outputs: Array.isArray(outputs) ? outputs : [outputs as Tensor],
        };
      },
    };
  });
}

const unary = (f: (x: Tensor) => Tensor): Record<string, Build> => ({
  'a matrix': (g) => f(g.real(2, 3)),
  'a scalar': (g) => f(g.real()),
  'symbolic dimensions': (g) => f(g.real('B', 'T', 2)),
});

const unaryPositive = (f: (x: Tensor) => Tensor): Record<string, Build> => ({
  'a matrix': (g) => f(g.positive(2, 3)),
  'symbolic dimensions': (g) => f(g.positive('B', 'T', 2)),
});

const binary = (f: (a: Tensor, b: Tensor) => Tensor): Record<string, Build> => ({
  'same shapes': (g) => f(g.real(2, 3), g.real(2, 3)),
  'both sides broadcast': (g) => f(g.real(2, 1, 3), g.real(4, 1)),
  'a scalar on either side': (g) => [f(g.real(), g.real(2, 3)), f(g.real(2, 3), g.real())],
  'symbolic dimensions, broadcast': (g) => f(g.real('B', 1, 2), g.real('T', 1)),
  'one tensor on both sides': (g) => {
    const x = g.real(2, 3);
    return f(x, x);
  },
});

const reduction = (f: (x: Tensor, axes?: number[], keep?: boolean) => Tensor) => ({
  'all axes': (g: Givens) => f(g.real(2, 3), [0, 1]),
  'one axis': (g: Givens) => f(g.real(2, 3, 4), [1]),
  'negative axes, kept': (g: Givens) => f(g.real(2, 3, 4), [-1, 0], true),
  'symbolic axes': (g: Givens) => f(g.real('B', 'T', 2), [0, 1]),
  'no axes': (g: Givens) => f(g.real(2, 3), []),
});

/** A product with the sum over the last two axes fixed and all else as given. */
const product =
  (a: Dim[], b: Dim[], options?: Parameters<typeof t.matmul>[2]): Build =>
  (g) =>
    t.matmul(g.real(...a), g.real(...b), options);

/** Attention with rows of width 2 a head over G groups of M rows and L keys from before. */
function attended(
  g: Givens,
  { heads, kvHeads }: { heads: number; kvHeads: number },
  [G, M, L]: readonly [Dim, Dim, Dim],
  maskGroups = G,
): readonly Tensor[] {
  const own = () => g.real(G, M, 2 * kvHeads);
  const past = () => g.real(G, kvHeads, L, 2);
  const mask = g.real(maskGroups, 1, M, sum(L, M));
  return t.apply(attentionOp, [g.real(G, M, 2 * heads), own(), own(), mask, past(), past()], {
    heads,
    kvHeads,
    scale: 0.7,
  });
}

const attention = (...given: Parameters<typeof attended>): Tensor => attended(...given)[0]!;

/** Cases by the op that they are about. */
export const opCases: Readonly<Record<string, readonly OpCase[]>> = Object.fromEntries(
  Object.entries<Readonly<Record<string, Build>>>({
    add: binary(t.add),
    sub: binary(t.sub),
    mul: binary(t.mul),
    div: {
      'same shapes': (g) => t.div(g.real(2, 3), g.positive(2, 3)),
      'both sides broadcast': (g) => t.div(g.real(2, 1, 3), g.positive(4, 1)),
      'symbolic dimensions, broadcast': (g) => t.div(g.real('B', 1, 2), g.positive('T', 1)),
    },
    maximum: { ...binary(t.maximum), 'one tensor on both sides': (g) => t.maximum(...twins(g)) },
    minimum: { ...binary(t.minimum), 'one tensor on both sides': (g) => t.minimum(...twins(g)) },
    greaterOrEqual: binary(t.greaterOrEqual),
    equal: {
      'whole numbers': (g) => t.equal(g.whole(2, 4, 3), g.whole(2, 3)),
      'symbolic dimensions': (g) => t.equal(g.whole(2, 'B', 'T'), g.whole(2, 'T')),
    },
    neg: unary(t.neg),
    abs: unary(t.abs),
    exp: unary(t.exp),
    log: unaryPositive(t.log),
    sqrt: unaryPositive(t.sqrt),
    tanh: unary(t.tanh),
    sigmoid: unary(t.sigmoid),
    softplus: { ...unary(t.softplus), 'log-sigmoid': (g) => t.logSigmoid(g.real(2, 3)) },
    relu: unary(t.relu),
    erf: unary(t.erf),
    silu: unary(t.silu),
    gelu: {
      ...unary(t.gelu),
      'by tanh': (g) => t.gelu(g.real(2, 3), 'tanh'),
      'by tanh, symbolic': (g) => t.gelu(g.real('B', 'T'), 'tanh'),
    },
    where: {
      'a condition on x': (g) => {
        const x = g.real(2, 3);
        return t.where(t.greaterOrEqual(x, t.constant(0)), t.mul(x, x), t.neg(x));
      },
      'all three broadcast': (g) =>
        t.where(t.equal(g.whole(2, 4, 1), t.integers([1])), g.real(3), g.real(2, 1, 1)),
      'symbolic dimensions': (g) =>
        t.where(t.equal(g.whole(2, 'B', 1), t.integers([1])), g.real('B', 'T'), g.real('T')),
    },
    cast: {
      'to whole numbers and back': (g) =>
        t.cast(t.cast(mul(g.real('B', 3), 5), 'int32'), 'float32'),
      'of a condition': (g) => t.cast(t.greaterOrEqual(g.real(2, 3), t.constant(0)), 'float32'),
    },

    reduceSum: reduction(t.reduceSum),
    reduceMean: reduction(t.reduceMean),
    reduceMax: reduction(t.reduceMax),
    logSumExp: reduction(t.logSumExp),
    softmax: { ...unary((x) => (x.shape.length > 0 ? t.softmax(x) : t.neg(x))) },
    logSoftmax: { ...unary((x) => (x.shape.length > 0 ? t.logSoftmax(x) : t.neg(x))) },

    reshape: {
      'fixed dimensions': (g) => t.reshape(g.real(2, 3, 4), [4, -1]),
      'symbols folded': (g) => t.reshape(g.real('B', 'T', 4), ['B*T', 2, 2]),
      'symbols unfolded': (g) => [t.reshape(g.real('B*T', 2), ['B', 'T', 2]), g.real('B', 'T')],
      'to a scalar': (g) => t.reshape(g.real(1, 1), []),
    },
    transpose: {
      'a matrix': (g) => t.transpose(g.real(2, 3), [1, 0]),
      'symbolic dimensions': (g) => t.transpose(g.real('B', 'T', 2, 3), [2, 0, 3, 1]),
    },
    concat: {
      'three parts': (g) => t.concat([g.real(2, 1), g.real(2, 3), g.real(2, 2)], 1),
      'one part twice': (g) => {
        const x = g.real(2, 3);
        return t.concat([x, g.real(1, 3), x], 0);
      },
      'symbolic dimensions': (g) => t.concat([g.real('B', 'L', 2), g.real('B', 'T', 2)], -2),
    },
    split: {
      'all parts used': (g) => t.split(g.real(2, 6), [1, 3, 2], 1),
      'one part used': (g) => t.split(g.real(2, 6), [1, 3, 2], -1)[1]!,
      'one part used twice': (g) => {
        const part = t.split(g.real(5, 2), [2, 3], 0)[1]!;
        return t.mul(part, t.exp(part));
      },
      'symbolic dimensions': (g) => {
        const [a, b] = t.split(t.concat([g.real(2, 'L'), g.real(2, 'T')], 1), ['L', 'T'], 1);
        return [t.exp(a!), b!];
      },
    },
    slice: {
      middle: (g) => t.slice(g.real(2, 5), 1, 1, 3),
      'from the end': (g) => t.slice(g.real(4, 3), 0, -2),
      'to the end': (g) => t.slice(g.real(4, 3), -1, 1),
      'negative bounds': (g) => t.slice(g.real(6, 2), 0, -4, -1),
      'the first of a symbolic axis': (g) => t.slice(g.real('B', 'T', 2), 1, 0, 1),
      'the last of a symbolic axis': (g) => t.slice(g.real('B', 'T', 2), 1, -2),
    },
    pad: {
      'fixed size': (g) => t.pad(g.real(2, 3), 1, { size: 6, start: 2 }),
      'from the end': (g) => t.pad(g.real(2, 3), -1, { size: 6, start: -4 }),
      'symbolic size': (g) => [
        t.pad(g.real('B', 2), 1, { size: 'L', start: 1 }),
        t.pad(g.real('B', 2), 1, { size: 'L', start: -2 }),
        g.real('L'),
      ],
    },
    expand: {
      'new and old axes': (g) => t.expand(g.real(2, 1, 3), [4, 2, 5, 3]),
      'a scalar': (g) => t.expand(g.real(), [2, 2]),
      'symbolic dimensions': (g) => [t.expand(g.real('B', 1, 2), ['B', 'T', 2]), g.real('T')],
    },
    gather: {
      'rows, some twice': (g) => t.gather(g.real(4, 3), t.integers([1, 0, 1, 3])),
      'indices of two axes': (g) => t.gather(g.real(4, 2, 2), g.whole(4, 2, 3)),
      'a vector': (g) => t.gather(g.real(4), t.integers([3, 3, 0])),
      'negative indices': (g) => t.gather(g.real(4, 2), t.integers([-1, 1])),
      'symbolic dimensions': (g) => t.gather(g.real('N', 2), g.whole(5, 'B', 'T')),
    },
    scatterAddRows: {
      'rows that meet': (g) => t.scatterAddRows([4, 3], t.integers([2, 2, 0]), g.real(3, 3)),
      'indices of two axes': (g) => t.scatterAddRows([4, 2], g.whole(4, 2, 3), g.real(2, 3, 2)),
      'symbolic dimensions': (g) => [
        t.scatterAddRows(['N', 2], g.whole(5, 'B', 'T'), g.real('B', 'T', 2)),
        g.real('N'),
      ],
    },
    takeAlong: {
      'some twice': (g) => t.takeAlong(g.real(2, 3), t.integers([2, 0, 0, 1, 1, 1], [2, 3])),
      'symbolic dimensions': (g) => t.takeAlong(g.real('B', 'T', 4), g.whole(4, 'B', 'T', 1)),
    },
    scatterAlong: {
      'values that meet': (g) =>
        t.scatterAlong([2, 5], t.integers([4, 0, 4, 1, 1, 1], [2, 3]), g.real(2, 3)),
      'symbolic dimensions': (g) =>
        t.scatterAlong(['B', 'T', 4], g.whole(4, 'B', 'T', 2), g.real('B', 'T', 2)),
    },
    range: {
      'a symbolic size': (g) => t.mul(t.cast(t.range('N'), 'float32'), g.real('N')),
    },
    elementCount: {
      'a product of symbols': (g) => t.div(g.real('B', 'T'), t.elementCount(['B', 'T', 2])),
    },

    matmul: {
      'two matrices': product([2, 3], [3, 4]),
      'right side transposed, scaled': product([2, 3], [4, 3], { transB: true, alpha: 0.5 }),
      'left side transposed': product([3, 2], [3, 4], { transA: true, alpha: -2 }),
      'both transposed': product([3, 2], [4, 3], { transA: true, transB: true }),
      'one matrix for a batch': product([2, 5, 3], [3, 4]),
      'one matrix for a batch, transposed': product([2, 5, 3], [4, 3], { transB: true }),
      'one left matrix for a batch': product([2, 3], [4, 3, 5]),
      'batches that broadcast': product([2, 1, 3, 4], [5, 4, 2]),
      'batches, left transposed': product([2, 4, 3], [2, 4, 2], { transA: true }),
      'batches, right transposed': product([2, 3, 4], [2, 2, 4], { transB: true, alpha: 3 }),
      'batches, both transposed': product([2, 4, 3], [2, 2, 4], { transA: true, transB: true }),
      'batch, left transposed, one right matrix': product([2, 4, 3], [4, 2], { transA: true }),
      'symbolic dimensions': product(['B', 'T', 3], ['B', 3, 'L']),
      'symbolic rows, one matrix': product(['B', 'T', 3], [2, 3], { transB: true }),
      'a tensor with itself': (g) => {
        const x = g.real(3, 3);
        return t.matmul(x, t.matmul(x, x), { transA: true });
      },
    },
    matmulOnto: {
      'symbolic rows': (g) => t.matmulOnto(g.real('B', 4), g.real('B', 3), g.real(3, 4)),
      'both transposed, scaled': (g) =>
        t.matmulOnto(g.real(2, 4), g.real(3, 2), g.real(4, 3), {
          transA: true,
          transB: true,
          alpha: -0.5,
        }),
    },
    quantize: {
      'a whole tensor': (g) => {
        const { values, scale, zero } = t.quantize(g.real('B', 3));
        return [t.cast(values, 'float32'), scale, t.cast(zero, 'float32')];
      },
    },
    int8Matmul: {
      'a matrix': (g) => {
        const matrix = bytes([3, -5, 127, -128, 64, 1], [3, 2]);
        return t.int8Matmul(t.quantize(g.real('B', 3)), matrix, g.positive(2));
      },
    },

    // Whole numbers up to 127, which the kernel's 8 bits hold exactly.
    blockMatmul: {
      'rows that end within a block': (g) => {
        const whole = (n: number) => t.cast(g.whole(120, 'B', n), 'float32');
        const most = t.expand(t.constant(127), ['B', 1]);
        const x = t.concat([whole(31), most, whole(7), most], -1); // [B, 40]
        const levels = Uint8Array.from({ length: 3 * 64 }, (_, i) =>
          i % 64 < 40 ? (i * 37) % 256 : 128,
        );
        const blocks = { data: levels, shape: [3, 2, 32], dtype: 'uint8' } as const;
        const scales = t.constant([0.5, 0.25, 1, 2, 0.125, 0.5], [3, 2]);
        // Times something real, since nothing that this op reads has a gradient here.
        return t.mul(t.blockMatmul(x, t.apply1(constantOp, [], blocks), scales), g.real(3));
      },
    },
    topK: {
      'rows of two axes': (g) => {
        const { values, indices } = t.topK(g.real('B', 2, 7), 3);
        return [values, t.cast(indices, 'float32')];
      },
    },

    rmsNorm: {
      'rows of two axes': (g) => t.rmsNorm(g.real(2, 4, 3), g.real(3), 1e-5),
      'a vector': (g) => t.rmsNorm(g.real(4), g.real(4), 1e-5),
      'both outputs': (g) => t.apply(rmsNormOp, [g.real('B', 3), g.real(3)], { epsilon: 1e-5 }),
      'the inverse deviation alone': (g) =>
        t.apply(rmsNormOp, [g.real('B', 3), g.real(3)], { epsilon: 1e-5 })[1]!,
      'symbolic dimensions': (g) => t.rmsNorm(g.real('B', 'T', 3), g.real(3), 1e-5),
    },
    layerNorm: {
      'rows of two axes': (g) => t.layerNorm(g.real(2, 4, 3), g.real(3), g.real(3), 1e-5),
      'a vector': (g) => t.layerNorm(g.real(4), g.real(4), g.real(4), 1e-5),
      'all outputs': (g) =>
        t.apply(layerNormOp, [g.real(2, 3), g.real(3), g.real(3)], { epsilon: 1e-5 }),
      'mean and deviation alone': (g) =>
        t.apply(layerNormOp, [g.real(2, 3), g.real(3), g.real(3)], { epsilon: 1e-5 }).slice(1),
      'symbolic dimensions': (g) => t.layerNorm(g.real('B', 'T', 3), g.real(3), g.real(3), 1e-5),
    },
    rotary: {
      'two heads': (g) => rotary(g.real(2, 3, 8), g.whole(5, 2, 3)),
      'symbolic dimensions': (g) => rotary(g.real('B', 'T', 8), g.whole(5, 'B', 'T')),
    },
    attention: {
      'one head': (g) => attention(g, { heads: 1, kvHeads: 1 }, [2, 3, 4]),
      'grouped heads, one mask for all': (g) =>
        attention(g, { heads: 4, kvHeads: 2 }, [2, 3, 2], 1),
      'all outputs': (g) => attended(g, { heads: 2, kvHeads: 1 }, [1, 3, 2]),
      'keys and values alone': (g) => attended(g, { heads: 2, kvHeads: 1 }, [1, 3, 2]).slice(1),
      'symbolic dimensions': (g) => attention(g, { heads: 4, kvHeads: 2 }, ['B', 'T', 'L']),
    },

    recompute: {
      'a chain': (g) => {
        const [x, w] = [g.real(2, 3), g.real(3, 3)];
        return t.recompute(t.tanh(t.matmul(x, w)), [x]);
      },
      'symbolic dimensions, one inside another': (g) => {
        const [x, w, b] = [g.real('B', 'T', 3), g.real(3, 3), g.real(3)];
        const inner = t.recompute(t.gelu(t.matmul(x, w)), [x]);
        return t.mul(x, t.recompute(t.add(t.sigmoid(t.matmul(inner, w)), b), [x]));
      },
      'what it reads depends on other things it reads': (g) => {
        const [x, a] = [g.real(2, 3), g.real(3)];
        const b = t.exp(a);
        return t.recompute(t.mul(t.add(t.mul(x, a), b), t.mul(x, b)), [x]);
      },
      'an input that comes from another': (g) => {
        const x = g.real(2, 3);
        const y = t.exp(x);
        return t.recompute(t.mul(t.tanh(x), t.mul(y, y)), [x, y]);
      },
      'whole numbers among the inputs': (g) => {
        const [x, at] = [g.real(4, 2), g.whole(4, 'B')];
        return t.recompute(t.exp(t.gather(x, at)), [x, at]);
      },
    },
    after: {
      'several to wait for': (g) => {
        const [x, at] = [g.real('B', 3), g.whole(4, 'B')];
        return [t.apply1(t.ops.get('after')!, [x, t.exp(x), at], null), t.neg(x)];
      },
      'whole numbers that wait': (g) => {
        const [x, at] = [g.real(4, 3), g.whole(4, 2)];
        return t.gather(x, t.apply1(t.ops.get('after')!, [at, x], null));
      },
    },
  }).map(([op, builds]) => [op, cases(op, builds)]),
);

/** Parts of models, where ops meet: what training has to get right as a whole. */
export const modelCases: readonly OpCase[] = cases('model', {
  'an LSTM over three steps': (g) => lstm(g, 3),
  'a linear layer with LoRA': (g) => {
    const [x, w] = [g.real('N', 4), g.real(3, 4)];
    const low = t.matmul(x, g.real(2, 4), { transB: true }); // [N, r]
    const change = t.matmul(low, g.real(3, 2), { transB: true, alpha: 2 });
    return t.add(t.matmul(x, w, { transB: true }), change);
  },
  'causal attention': (g) => {
    const [q, k, v] = [g.real('B', 'T', 4), g.real('B', 'T', 4), g.real('B', 'T', 4)];
    const at = t.range('T');
    const seen = t.greaterOrEqual(t.reshape(at, ['T', 1]), t.reshape(at, [1, 'T']));
    const mask = t.where(seen, t.constant(0), t.constant(-1e9));
    return t.matmul(t.softmax(t.add(t.matmul(q, k, { transB: true, alpha: 0.5 }), mask)), v);
  },
  'cross-entropy of a tied embedding': (g) => {
    const [table, ids] = [g.real(5, 3), g.whole(5, 'B', 'T')];
    const logits = t.matmul(t.tanh(t.gather(table, ids)), table, { transB: true });
    return t.reduceMean(t.crossEntropy(logits, g.whole(5, 'B', 'T')));
  },
  'path consistency': (g) => softQLoss(g, true),
  'path consistency without bootstrapping': (g) => softQLoss(g, false),
  'half rotations': (g) => t.rotate(g.real('B', 'T', 4), g.real('T', 2), g.real('T', 2)),
  'one tensor used five times': (g) => {
    const x = g.real('B', 3);
    const y = t.mul(t.exp(x), x);
    return [t.add(y, t.mul(y, x)), t.reduceSum(y, [1]), x];
  },
});

/** Soft Q-learning's loss of two prompts of two tokens out of three actions. */
function softQLoss(g: Givens, bootstrap: boolean): Tensor {
  return pathConsistency(g.real(4, 3), g.real(4, 3), {
    actions: g.whole(3, 4, 1),
    sampledLogProbs: t.neg(g.positive(4)),
    signals: g.real(2),
    tokens: 2,
    bootstrap,
  }).loss;
}

function lstm(g: Givens, steps: number): Tensor {
  const [x, H] = [g.real('B', steps, 2), 3];
  const [wx, wh, bias] = [g.real(2, 4 * H), g.real(H, 4 * H), g.real(4 * H)];
  let [h, c] = [g.real('B', H), g.real('B', H)];
  for (let step = 0; step < steps; step++) {
    const now = t.reshape(t.slice(x, 1, step, step + 1), ['B', 2]);
    const gates = t.add(t.add(t.matmul(now, wx), t.matmul(h, wh)), bias);
    const [i, f, o, u] = t.split(gates, [H, H, H, H], 1);
    c = t.add(t.mul(t.sigmoid(f!), c), t.mul(t.sigmoid(i!), t.tanh(u!)));
    h = t.mul(t.sigmoid(o!), t.tanh(c));
  }
  return h;
}

function rotary(x: Tensor, positions: Tensor): Tensor {
  const angles = Array.from({ length: 10 }, (_, i) => Math.floor(i / 2) * (i % 2 ? 0.1 : 1));
  const table = (f: (angle: number) => number) => t.constant(Float32Array.from(angles, f), [5, 2]);
  return t.rotary(x, positions, table(Math.cos), table(Math.sin), 2);
}

/** Two tensors with no element in common. */
function twins(g: Givens): [Tensor, Tensor] {
  const x = g.real(2, 3);
  return [x, mul(x, 2)];
}

function mul(x: Tensor, factor: number): Tensor {
  return t.mul(x, t.constant(factor));
}

function bytes(values: number[], shape: number[]): Tensor {
  return t.cast(t.constant(Float32Array.from(values), shape), 'int8');
}
