/** Ops that move elements and compute nothing: reshape, transpose, concat, slice, gather … */
import { ShapeError } from '../../errors.ts';
import {
  broadcast,
  type Dim,
  product,
  quotient,
  type Shape,
  sameShape,
  show,
  sum,
} from '../dims.ts';
import {
  apply,
  apply1,
  axisOf,
  constant,
  integers,
  type Op,
  type Tensor,
  type TensorType,
} from '../graph.ts';
import { sumTo } from './reduce.ts';

export const reshapeOp: Op<{ shape: Shape; trusted: boolean }> = {
  name: 'reshape',
  infer: ([x], { shape, trusted }) => {
    if (!trusted && product(x!.shape) !== product(shape)) {
      throw new ShapeError(
        `reshape: ${show(x!.shape)} has ${product(x!.shape)} elements, ${show(shape)} has ${product(shape)}`,
      );
    }
    return [{ shape, dtype: x!.dtype }];
  },
  vjp: ({ inputs: [x], attributes }, [dy]) => [reshape(dy!, x!.shape, attributes.trusted)],
  emit: ({ inputs, outputs, attributes: { shape }, call, node, dims, constant: make }) => {
    const from = call.inputs[0]!.shape;
    // ONNX: 0 copies the input's dimension at the same place, one −1 is worked out.
    const target = shape.map((dim, i) =>
      typeof dim === 'number' ? dim : dim === from[i] ? 0 : -1,
    );
    const isStatic = target.filter((dim) => dim === -1).length <= 1 && !shape.includes(0);
    const vector = isStatic
      ? make(BigInt64Array.from(target.map(BigInt)), [target.length])
      : dims(shape);
    node('Reshape', [inputs[0]!, vector], { outputs });
  },
};

/**
 * Reshapes; at most one −1 is worked out from the rest. With `trusted`, symbols that cannot be
 * compared ("N" and "B") are taken to fit; the engine checks at run time.
 */
export function reshape(x: Tensor, shape: Shape, trusted = false): Tensor {
  const free = shape.indexOf(-1);
  let target = shape;
  if (free >= 0) {
    const dim = quotient(product(x.shape), product(shape.filter((_, i) => i !== free)));
    if (dim === undefined) {
      throw new ShapeError(`reshape: ${show(x.shape)} does not divide into ${show(shape)}`);
    }
    target = shape.map((d, i) => (i === free ? dim : d));
  }
  return sameShape(x.shape, target) ? x : apply1(reshapeOp, [x], { shape: target, trusted });
}

export const transposeOp: Op<{ order: readonly number[] }> = {
  name: 'transpose',
  infer: ([x], { order }) => {
    if (order.length !== x!.shape.length || new Set(order).size !== order.length) {
      throw new ShapeError(`transpose: order [${order}] does not fit ${show(x!.shape)}`);
    }
    return [{ shape: order.map((i) => x!.shape[i]!), dtype: x!.dtype }];
  },
  vjp: ({ attributes: { order } }, [dy]) => [
    transpose(
      dy!,
      order.map((_, i) => order.indexOf(i)),
    ),
  ],
  emit: ({ inputs, outputs, attributes, node }) => {
    node('Transpose', inputs, { outputs, attributes: { perm: attributes.order.map(BigInt) } });
  },
};

export function transpose(x: Tensor, order: readonly number[]): Tensor {
  return order.every((axis, i) => axis === i) ? x : apply1(transposeOp, [x], { order });
}

export const concatOp: Op<{ axis: number }> = {
  name: 'concat',
  infer: (inputs, { axis }) => {
    const first = inputs[0]!;
    const at = axisOf(first.shape, axis, 'concat');
    const total = inputs.map((x) => x.shape[at]!).reduce((a, b) => sum(a, b));
    for (const x of inputs) {
      if (!x.shape.every((dim, i) => i === at || dim === first.shape[i])) {
        throw new ShapeError(
          `concat: shapes differ off axis ${at}, ${show(first.shape)} and ${show(x.shape)}`,
        );
      }
    }
    return [{ shape: first.shape.map((dim, i) => (i === at ? total : dim)), dtype: first.dtype }];
  },
  vjp: ({ inputs, attributes: { axis } }, [dy]) =>
    split(
      dy!,
      inputs.map((x) => x.shape[axisOf(x.shape, axis, 'concat')]!),
      axis,
    ),
  emit: ({ inputs, outputs, attributes, node }) => {
    node('Concat', inputs, { outputs, attributes: { axis: BigInt(attributes.axis) } });
  },
};

export function concat(inputs: readonly Tensor[], axis: number): Tensor {
  return inputs.length === 1 ? inputs[0]! : apply1(concatOp, inputs, { axis });
}

export const splitOp: Op<{ sizes: Shape; axis: number }> = {
  name: 'split',
  infer: ([x], { sizes, axis }) => {
    const at = axisOf(x!.shape, axis, 'split');
    if (sizes.reduce((a, b) => sum(a, b)) !== x!.shape[at]) {
      throw new ShapeError(
        `split: parts ${show(sizes)} do not add up to axis ${at} of ${show(x!.shape)}`,
      );
    }
    return sizes.map((size) => ({
      shape: x!.shape.map((dim, i) => (i === at ? size : dim)),
      dtype: x!.dtype,
    }));
  },
  vjp: ({ outputs, attributes: { axis } }, cotangents) => [
    concat(
      outputs.map((y, i) => cotangents[i] ?? expand(constant(0), y.shape)),
      axis,
    ),
  ],
  emit: ({ inputs, outputs, attributes, node, dims }) => {
    node('Split', [inputs[0]!, dims(attributes.sizes)], {
      outputs,
      attributes: { axis: BigInt(attributes.axis) },
    });
  },
};

export function split(x: Tensor, sizes: Shape, axis: number): readonly Tensor[] {
  return sizes.length === 1 ? [x] : apply(splitOp, [x], { sizes, axis });
}

export const expandOp: Op<{ shape: Shape }> = {
  name: 'expand',
  infer: ([x], { shape }) => {
    if (!sameShape(broadcast(x!.shape, shape, 'expand'), shape)) {
      throw new ShapeError(`expand: ${show(x!.shape)} does not repeat to ${show(shape)}`);
    }
    return [{ shape, dtype: x!.dtype }];
  },
  vjp: ({ inputs: [x] }, [dy]) => [sumTo(dy!, x!.shape)],
  emit: ({ inputs, outputs, attributes, node, dims }) => {
    node('Expand', [inputs[0]!, dims(attributes.shape)], { outputs });
  },
};

/** Repeats along broadcast axes until the shape is reached. */
export function expand(x: Tensor, shape: Shape): Tensor {
  return sameShape(x.shape, shape) ? x : apply1(expandOp, [x], { shape });
}

/** A slice [start, end) of one axis with fixed bounds; negative ones count from the end. */
export const sliceOp: Op<{ axis: number; start: number; end: number }> = {
  name: 'slice',
  infer: ([x], { axis, start, end }) => {
    const at = axisOf(x!.shape, axis, 'slice');
    return [
      {
        shape: x!.shape.map((dim, i) => (i === at ? sliceLength(dim, start, end) : dim)),
        dtype: x!.dtype,
      },
    ];
  },
  vjp: ({ inputs: [x], attributes: { axis, start } }, [dy]) => {
    const at = axisOf(x!.shape, axis, 'slice');
    return [pad(dy!, at, { size: x!.shape[at]!, start })];
  },
  emit: ({ inputs, outputs, attributes: { axis, start, end }, node, constant: make }) => {
    const vector = (value: number) => make(BigInt64Array.of(BigInt(value)), [1]);
    node('Slice', [inputs[0]!, vector(start), vector(end), vector(axis)], { outputs });
  },
};

function sliceLength(dim: Dim, start: number, end: number): Dim {
  if (typeof dim === 'number') {
    const from = start < 0 ? start + dim : start;
    return Math.max(0, Math.min(end < 0 ? end + dim : end, dim) - from);
  }
  if (start < 0 && end > Number.MAX_SAFE_INTEGER / 2) return -start;
  if (start >= 0 && end >= start && end < Number.MAX_SAFE_INTEGER / 2) return end - start;
  throw new ShapeError(
    `slice: [${start}, ${end}) of the symbolic dimension "${dim}" has no fixed length`,
  );
}

export function slice(x: Tensor, axis: number, start: number, end?: number): Tensor {
  return apply1(sliceOp, [x], { axis, start, end: end ?? Number.MAX_SAFE_INTEGER });
}

/** Zeros along one axis around `x`, which begins at `start`: the gradient of `slice`. */
export const padOp: Op<{ axis: number; size: Dim; start: number }> = {
  name: 'pad',
  infer: ([x], { axis, size }) => [
    { shape: x!.shape.map((dim, i) => (i === axis ? size : dim)), dtype: x!.dtype },
  ],
  vjp: ({ inputs: [x], attributes: { axis, start } }, [dy]) => {
    const end = start + (x!.shape[axis] as number);
    return [slice(dy!, axis, start, end === 0 ? undefined : end)];
  },
  emit: ({ inputs, outputs, attributes: { axis, size, start }, call, node, ...emission }) => {
    const length = call.inputs[0]!.shape[axis] as number;
    const vector = (value: number) => emission.constant(BigInt64Array.of(BigInt(value)), [1]);
    // Of the two paddings one is known; the other is what remains of the size.
    const known = start < 0 ? -start - length : start;
    const rest = node('Sub', [emission.dims([size]), vector(known + length)]);
    const pads = start < 0 ? [rest, vector(known)] : [vector(known), rest];
    const both = node('Concat', pads, { attributes: { axis: 0n } });
    const zero = emission.constant(Float32Array.of(0), []);
    node('Pad', [inputs[0]!, both, zero, vector(axis)], { outputs });
  },
};

/** `start` counts from the end where it is negative, as in `slice`. */
export function pad(x: Tensor, axis: number, to: { size: Dim; start: number }): Tensor {
  const at = axisOf(x.shape, axis, 'pad');
  return sameShape([x.shape[at]!], [to.size]) ? x : apply1(padOp, [x], { axis: at, ...to });
}

/** Rows of `x` (axis 0) at integer indices of any shape. */
export const gatherOp: Op<null> = {
  name: 'gather',
  infer: ([x, at]: readonly TensorType[]) => [
    { shape: [...at!.shape, ...x!.shape.slice(1)], dtype: x!.dtype },
  ],
  vjp: ({ inputs: [x, at] }, [dy]) => [scatterAddRows(x!.shape, at!, dy!), undefined],
  emit: ({ inputs, outputs, node }) => {
    node('Gather', inputs, { outputs, attributes: { axis: 0n } });
  },
};

export const gather = (x: Tensor, indices: Tensor): Tensor => apply1(gatherOp, [x, indices], null);

/** Zeros of a shape, with rows added at indices: the gradient of `gather`. */
export const scatterAddRowsOp: Op<{ shape: Shape }> = {
  name: 'scatterAddRows',
  infer: ([, rows], { shape }) => [{ shape, dtype: rows!.dtype }],
  vjp: ({ inputs: [at] }, [dy]) => [undefined, gather(dy!, at!)],
  emit: ({ inputs, outputs, attributes: { shape }, call, node, dims, constant: make }) => {
    const zeros = node('Expand', [make(Float32Array.of(0), [1]), dims(shape)]);
    const indexShape = [...call.inputs[0]!.shape, 1];
    const at = node('Reshape', [inputs[0]!, dims(indexShape)]);
    node('ScatterND', [zeros, at, inputs[1]!], { outputs, attributes: { reduction: 'add' } });
  },
};

export function scatterAddRows(shape: Shape, indices: Tensor, rows: Tensor): Tensor {
  return apply1(scatterAddRowsOp, [indices, rows], { shape });
}

/** Along the last axis of `x` [..., n], the element at each of `indices` [..., k]. */
export const takeAlongOp: Op<null> = {
  name: 'takeAlong',
  infer: ([x, at]) => {
    if (x!.shape.length !== at!.shape.length) {
      throw new ShapeError(
        `takeAlong: indices ${show(at!.shape)} need the rank of ${show(x!.shape)}`,
      );
    }
    return [{ shape: at!.shape, dtype: x!.dtype }];
  },
  vjp: ({ inputs: [x, at] }, [dy]) => [scatterAlong(x!.shape, at!, dy!), undefined],
  emit: ({ inputs, outputs, node }) => {
    node('GatherElements', inputs, { outputs, attributes: { axis: -1n } });
  },
};

export const takeAlong = (x: Tensor, indices: Tensor): Tensor =>
  apply1(takeAlongOp, [x, indices], null);

/** Zeros of a shape, with values added at indices along the last axis: the gradient of `takeAlong`. */
export const scatterAlongOp: Op<{ shape: Shape }> = {
  name: 'scatterAlong',
  infer: ([, values], { shape }) => [{ shape, dtype: values!.dtype }],
  vjp: ({ inputs: [at] }, [dy]) => [undefined, takeAlong(dy!, at!)],
  emit: ({ inputs, outputs, attributes: { shape }, node, dims, constant: make }) => {
    const zeros = node('Expand', [make(Float32Array.of(0), [1]), dims(shape)]);
    node('ScatterElements', [zeros, inputs[0]!, inputs[1]!], {
      outputs,
      attributes: { axis: -1n, reduction: 'add' },
    });
  },
};

export function scatterAlong(shape: Shape, indices: Tensor, values: Tensor): Tensor {
  return apply1(scatterAlongOp, [indices, values], { shape });
}

/** 0, 1, … n−1 as int64, where `n` may be a symbol. */
export const rangeOp: Op<{ size: Dim }> = {
  name: 'range',
  infer: (_, { size }) => [{ shape: [size], dtype: 'int64' }],
  vjp: null,
  emit: ({ outputs, attributes, node, dims, constant: make }) => {
    const size = node('Reshape', [dims([attributes.size]), make(new BigInt64Array(0), [0])]);
    const zero = make(BigInt64Array.of(0n), []);
    node('Range', [zero, size, make(BigInt64Array.of(1n), [])], { outputs });
  },
};

export const range = (size: Dim): Tensor =>
  typeof size === 'number'
    ? integers(Array.from({ length: size }, (_, i) => i))
    : apply1(rangeOp, [], { size });

/** How many elements a shape has, as a float32 scalar; the shape may hold symbols. */
export const elementCountOp: Op<{ shape: Shape }> = {
  name: 'elementCount',
  infer: () => [{ shape: [], dtype: 'float32' }],
  vjp: null,
  emit: ({ outputs, attributes, node, dims, constant: make }) => {
    const count = node('Reshape', [
      dims([product(attributes.shape)]),
      make(new BigInt64Array(0), [0]),
    ]);
    node('Cast', [count], { outputs, attributes: { to: 1n } });
  },
};

export function elementCount(shape: Shape): Tensor {
  const count = product(shape);
  return typeof count === 'number' ? constant(count) : apply1(elementCountOp, [], { shape });
}
