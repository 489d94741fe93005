/** Matrix products: float32 (FusedMatMul, either side transposed; Gemm onto a sum) and int8 with dynamic activations. */
import { ShapeError } from '../../errors.ts';
import { broadcast, type Shape, sameShape, show } from '../dims.ts';
import { apply, apply1, type Call, type Op, type Tensor } from '../graph.ts';
import { sumTo } from './reduce.ts';
import { reshape } from './shape.ts';

interface MatmulAttributes {
  readonly transA: boolean;
  readonly transB: boolean;
  /** Multiplies the product. */
  readonly alpha: number;
}

/** y = α · op(a) · op(b) over the last two axes, the others broadcast. */
export const matmulOp: Op<MatmulAttributes> = {
  name: 'matmul',
  infer: ([a, b], { transA, transB }) => {
    const [m, k] = lastTwo(a!.shape, transA);
    const [k2, n] = lastTwo(b!.shape, transB);
    if (k !== k2) {
      throw new ShapeError(
        `matmul: inner dimensions differ, left ${show(a!.shape)}${transA ? 'ᵀ' : ''}, right ${show(b!.shape)}${transB ? 'ᵀ' : ''}`,
      );
    }
    const batch = broadcast(a!.shape.slice(0, -2), b!.shape.slice(0, -2), 'matmul');
    return [{ shape: [...batch, m!, n!], dtype: 'float32' }];
  },
  vjp: ({ inputs: [a, b], attributes: { transA, transB, alpha } }, [dy]) => {
    const options = { alpha };
    const da = transA
      ? matmul(b!, dy!, { ...options, transA: transB, transB: true })
      : matmul(dy!, b!, { ...options, transB: !transB });
    // A matrix shared by the whole batch: one product over all rows instead of a sum of many.
    if (b!.shape.length === 2 && !transA) {
      const rows = reshape(a!, [-1, a!.shape.at(-1)!]);
      const drows = reshape(dy!, [-1, dy!.shape.at(-1)!]);
      const db = transB
        ? matmul(drows, rows, { ...options, transA: true })
        : matmul(rows, drows, { ...options, transA: true });
      return [sumTo(da, a!.shape), db];
    }
    const db = transB
      ? matmul(dy!, a!, { ...options, transA: true, transB: transA })
      : matmul(a!, dy!, { ...options, transA: !transA });
    return [sumTo(da, a!.shape), sumTo(db, b!.shape)];
  },
  emit: ({ inputs, outputs, attributes: { transA, transB, alpha }, node }) => {
    if (!transA && !transB && alpha === 1) {
      node('MatMul', inputs, { outputs });
      return;
    }
    node('FusedMatMul', inputs, {
      outputs,
      domain: 'com.microsoft',
      attributes: { transA: transA ? 1n : 0n, transB: transB ? 1n : 0n, alpha },
    });
  },
};

export function matmul(a: Tensor, b: Tensor, options: Partial<MatmulAttributes> = {}): Tensor {
  const { transA = false, transB = false, alpha = 1 } = options;
  return apply1(matmulOp, [a, b], { transA, transB, alpha });
}

/** y = c + α · op(a) · op(b) of matrices alone, in one pass over y. */
export const matmulOntoOp: Op<MatmulAttributes> = {
  name: 'matmulOnto',
  infer: ([a, b, c], attributes) => {
    const [y] = matmulOp.infer([a!, b!], attributes);
    if (y!.shape.length !== 2 || !sameShape(y!.shape, c!.shape)) {
      throw new ShapeError(
        `matmulOnto: a product of shape ${show(y!.shape)} cannot be added to ${show(c!.shape)}, both must be matrices of one shape`,
      );
    }
    return [c!];
  },
  vjp: ({ inputs: [a, b], attributes }, [dy], needed) => {
    const product = matmul(a!, b!, attributes).call as Call<MatmulAttributes>;
    return [...matmulOp.vjp!(product, [dy], needed), dy];
  },
  emit: ({ inputs, outputs, attributes: { transA, transB, alpha }, node }) => {
    const attributes = { transA: transA ? 1n : 0n, transB: transB ? 1n : 0n, alpha };
    node('Gemm', inputs, { outputs, attributes });
  },
};

export function matmulOnto(
  c: Tensor,
  a: Tensor,
  b: Tensor,
  options: Partial<MatmulAttributes> = {},
): Tensor {
  const { transA = false, transB = false, alpha = 1 } = options;
  return apply1(matmulOntoOp, [a, b, c], { transA, transB, alpha });
}

/**
 * 8-bit activations of a whole tensor at run time: values in uint8, their scale and their zero point.
 * Has no gradient.
 */
export const quantizeOp: Op<null> = {
  name: 'quantize',
  infer: ([x]) => [
    { shape: x!.shape, dtype: 'uint8' },
    { shape: [], dtype: 'float32' },
    { shape: [], dtype: 'uint8' },
  ],
  vjp: null,
  emit: ({ inputs, outputs, node }) => {
    node('DynamicQuantizeLinear', inputs, { outputs });
  },
};

export interface Quantized {
  readonly values: Tensor;
  readonly scale: Tensor;
  readonly zero: Tensor;
}

export function quantize(x: Tensor): Quantized {
  const [values, scale, zero] = apply(quantizeOp, [x], null);
  return { values: values!, scale: scale!, zero: zero! };
}

/** Quantised activations [..., K] times an int8 matrix [K, N] with one scale a column, in float32. */
export const int8MatmulOp: Op<null> = {
  name: 'int8Matmul',
  infer: ([x, w, , scale]) => {
    const [k, n] = w!.shape;
    if (x!.shape.at(-1) !== k || scale!.shape[0] !== n) {
      throw new ShapeError(
        `int8Matmul: activations ${show(x!.shape)}, matrix ${show(w!.shape)}, scales ${show(scale!.shape)} do not fit`,
      );
    }
    return [{ shape: [...x!.shape.slice(0, -1), n!], dtype: 'float32' }];
  },
  vjp: null,
  emit: ({ inputs, outputs, node }) => {
    node('MatMulIntegerToFloat', inputs, { outputs, domain: 'com.microsoft' });
  },
};

export const int8Matmul = (x: Quantized, matrix: Tensor, scale: Tensor): Tensor =>
  apply1(int8MatmulOp, [x.values, matrix, x.scale, scale, x.zero], null);

function lastTwo(shape: Shape, transposed: boolean): Shape {
  if (shape.length < 2) {
    throw new ShapeError(`matmul: a matrix is needed, got shape ${show(shape)}`);
  }
  const pair = shape.slice(-2);
  return transposed ? [pair[1]!, pair[0]!] : pair;
}
