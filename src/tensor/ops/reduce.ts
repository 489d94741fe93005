/** Reductions over axes, and what is made of them: softmax, log-softmax, logsumexp. */
import { broadcast, product, type Shape, sameShape } from '../dims.ts';
import { apply1, axisOf, type Op, type Tensor } from '../graph.ts';
import { cast, div, equal, exp, mul, sub } from './elementwise.ts';
import { elementCount, expand, reshape } from './shape.ts';

interface ReduceAttributes {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

type ReduceVjp = (x: Tensor, y: Tensor, dy: Tensor, axes: readonly number[]) => Tensor;

/** `vjp` sees output and cotangent with the reduced axes kept as ones. */
function reduction(name: string, onnx: string, vjp: ReduceVjp): Op<ReduceAttributes> {
  return {
    name,
    infer: ([x], { axes, keepDims }) => [
      { shape: reducedShape(x!.shape, axes, keepDims), dtype: x!.dtype },
    ],
    vjp: ({ inputs: [x], outputs: [y], attributes: { axes } }, [dy]) => {
      const kept = reducedShape(x!.shape, axes, true);
      return [vjp(x!, reshape(y!, kept), reshape(dy!, kept), axes)];
    },
    emit: ({ inputs, outputs, attributes, node, constant: make }) => {
      const axes = make(BigInt64Array.from(attributes.axes.map(BigInt)), [attributes.axes.length]);
      node(onnx, [...inputs, axes], {
        outputs,
        attributes: { keepdims: attributes.keepDims ? 1n : 0n },
      });
    },
  };
}

export const reduceSumOp = reduction('reduceSum', 'ReduceSum', (x, _, dy) => expand(dy, x.shape));
export const reduceMeanOp = reduction('reduceMean', 'ReduceMean', (x, _, dy, axes) => {
  const count = product(axes.map((axis) => x.shape[axisOf(x.shape, axis, 'reduceMean')]!));
  return expand(div(dy, elementCount([count])), x.shape);
});
// Equal maxima share the cotangent, which is a subgradient; as in PyTorch's amax.
export const reduceMaxOp = reduction('reduceMax', 'ReduceMax', (x, y, dy, axes) => {
  const isMaximum = cast(equal(x, y), 'float32');
  return mul(isMaximum, div(dy, reduceSum(isMaximum, axes, true)));
});
// d logsumexp(x) = softmax(x)
export const logSumExpOp = reduction('logSumExp', 'ReduceLogSumExp', (x, y, dy) =>
  mul(exp(sub(x, y)), dy),
);

/** Softmax over the last axis. */
export const softmaxOp: Op<null> = {
  name: 'softmax',
  infer: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  // dx = y ∘ (dy − Σ y∘dy)
  vjp: ({ outputs: [y] }, [dy]) => {
    const weighted = mul(y!, dy!);
    return [sub(weighted, mul(y!, reduceSum(weighted, [-1], true)))];
  },
  emit: ({ inputs, outputs, node }) => {
    node('Softmax', inputs, { outputs, attributes: { axis: -1n } });
  },
};

/** Logarithm of softmax over the last axis. */
export const logSoftmaxOp: Op<null> = {
  name: 'logSoftmax',
  infer: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  // dx = dy − exp(y)·Σ dy
  vjp: ({ outputs: [y] }, [dy]) => [sub(dy!, mul(exp(y!), reduceSum(dy!, [-1], true)))],
  emit: ({ inputs, outputs, node }) => {
    node('LogSoftmax', inputs, { outputs, attributes: { axis: -1n } });
  },
};

function reducedShape(shape: Shape, axes: readonly number[], keepDims: boolean): Shape {
  const reduced = new Set(axes.map((axis) => axisOf(shape, axis, 'reduce')));
  return keepDims
    ? shape.map((dim, i) => (reduced.has(i) ? 1 : dim))
    : shape.filter((_, i) => !reduced.has(i));
}

function reduceWith(op: Op<ReduceAttributes>) {
  return (x: Tensor, axes?: readonly number[], keepDims = false): Tensor => {
    const over = axes ?? x.shape.map((_, i) => i);
    // Over no axes every reduction is the identity; to ONNX an empty list would mean all of them.
    return over.length === 0 ? x : apply1(op, [x], { axes: over, keepDims });
  };
}

export const reduceSum = reduceWith(reduceSumOp);
export const reduceMean = reduceWith(reduceMeanOp);
export const reduceMax = reduceWith(reduceMaxOp);
/** log Σ exp(x), computed without overflow. */
export function logSumExp(x: Tensor, axes: readonly number[] = [-1], keepDims = false): Tensor {
  return reduceWith(logSumExpOp)(x, axes, keepDims);
}
export const softmax = (x: Tensor): Tensor => apply1(softmaxOp, [x], null);
export const logSoftmax = (x: Tensor): Tensor => apply1(logSoftmaxOp, [x], null);

/** Sums what broadcasting repeated, so that the result has `shape`. */
export function sumTo(x: Tensor, shape: Shape): Tensor {
  if (sameShape(x.shape, shape)) return x;
  broadcast(x.shape, shape, 'sumTo');
  const lead = x.shape.length - shape.length;
  const axes = x.shape
    .map((_, i) => i)
    .filter((i) => i < lead || (shape[i - lead] === 1 && x.shape[i] !== 1));
  const summed = axes.length > 0 ? reduceSum(x, axes, true) : x;
  return lead > 0 || !sameShape(summed.shape, shape) ? reshape(summed, shape) : summed;
}
