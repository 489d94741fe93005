/**
 * The expression graph. A `Tensor` is one output of a `Call`: an op applied to tensors. Nothing is
 * computed here: `onnx.ts` emits a graph as a program, `engine.ts` runs it, `grad.ts` extends it.
 *
 * An op is one record with everything that is known about it: `infer` (types of the outputs), `vjp`
 * (vector-Jacobian product, as more graph) and `emit` (the ONNX nodes). A new op is a new record.
 */
import { ShapeError } from '../errors.ts';
import { type Shape, show } from './dims.ts';

export type DType = 'float32' | 'int64' | 'int32' | 'bool' | 'int8' | 'uint8';

/** ONNX's numbers of the element types. */
export const elementTypes: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  int32: 6,
  int64: 7,
  bool: 9,
};

export interface TensorType {
  readonly shape: Shape;
  readonly dtype: DType;
}

export interface Tensor extends TensorType {
  readonly call: Call;
  /** Which output of the call this is. */
  readonly index: number;
}

export interface Call<A = unknown> {
  readonly op: Op<A>;
  readonly inputs: readonly Tensor[];
  readonly attributes: A;
  readonly outputs: readonly Tensor[];
}

/** What `emit` may use: names of its values, and a way to add ONNX nodes. */
export interface Emission<A> {
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: A;
  readonly call: Call<A>;
  /** Adds one node; without `outputs` it makes one fresh name and returns it. */
  node(type: string, inputs: readonly string[], options?: NodeOptions): string;
  /** Name of an int64 vector that holds the run-time values of `dims`. */
  dims(dims: Shape): string;
  /** Name of a constant. */
  constant(data: Float32Array | BigInt64Array, shape: readonly number[]): string;
}

export interface NodeOptions {
  readonly outputs?: readonly string[];
  readonly attributes?: Readonly<Record<string, AttributeValue>>;
  readonly domain?: '' | 'com.microsoft';
}

/** Numbers are floats, bigints are integers, as ONNX distinguishes them. */
export type AttributeValue = number | bigint | string | readonly bigint[];

export interface Op<A = unknown> {
  readonly name: string;
  /** @throws ShapeError when the inputs do not fit */
  infer(inputs: readonly TensorType[], attributes: A): readonly TensorType[];
  /**
   * Cotangents of the inputs from those of the outputs (undefined: no gradient flows there).
   * `needed` says for which inputs they will be used; an op may ignore it, what is not used is not
   * emitted. `null` where an op has no useful derivative: differentiating through it is an error.
   */
  readonly vjp:
    | ((
        call: Call<A>,
        cotangents: readonly (Tensor | undefined)[],
        needed: readonly boolean[],
      ) => readonly (Tensor | undefined)[])
    | null;
  emit(emission: Emission<A>): void;
}

/** Applies an op: checks the inputs and makes its outputs. */
export function apply<A>(op: Op<A>, inputs: readonly Tensor[], attributes: A): readonly Tensor[] {
  const types = op.infer(inputs, attributes);
  const outputs: Tensor[] = [];
  const call: Call<A> = { op, inputs, attributes, outputs };
  types.forEach((type, index) => {
    outputs.push({ ...type, call: call as Call, index });
  });
  return outputs;
}

/** A call as it is, of other inputs of the same types. */
export function applyAgain(call: Call, inputs: readonly Tensor[]): Call {
  const outputs: Tensor[] = [];
  const again: Call = { ...call, inputs, outputs };
  for (const output of call.outputs) outputs.push({ ...output, call: again });
  return again;
}

/** Applies an op with one output. */
export function apply1<A>(op: Op<A>, inputs: readonly Tensor[], attributes: A): Tensor {
  return apply(op, inputs, attributes)[0]!;
}

export interface InputAttributes extends TensorType {
  readonly name: string;
}

/** A value given at each run. Its symbolic dimensions take their values from what is given. */
export const inputOp: Op<InputAttributes> = {
  name: 'input',
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  vjp: () => [],
  emit: () => {},
};

export function input(name: string, shape: Shape, dtype: DType = 'float32'): Tensor {
  return apply1(inputOp, [], { name, shape, dtype });
}

/** Where a weight's bytes lie. */
export interface WeightAttributes extends TensorType {
  readonly name: string;
  /** File name, relative to the folder that the program is loaded in. */
  readonly file: string;
  readonly offset: number;
  readonly sizeBytes: number;
}

/** A frozen tensor in a weight file, mapped into memory and never copied. */
export const weightOp: Op<WeightAttributes> = {
  name: 'weight',
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  vjp: () => [],
  emit: () => {},
};

export function weight(attributes: WeightAttributes): Tensor {
  return apply1(weightOp, [], attributes);
}

export interface ConstantAttributes extends TensorType {
  readonly data: Float32Array | BigInt64Array | Int32Array | Uint8Array | Int8Array;
}

/** A small value that is part of the program itself. */
export const constantOp: Op<ConstantAttributes> = {
  name: 'constant',
  infer: (_, { shape, dtype }) => [{ shape, dtype }],
  vjp: () => [],
  emit: () => {},
};

/** A constant; a plain number is a scalar, an array of numbers a float32 vector. */
export function constant(
  data: number | readonly number[] | Float32Array | BigInt64Array | Int32Array,
  shape?: readonly number[],
): Tensor {
  if (typeof data === 'number') {
    return apply1(constantOp, [], { data: Float32Array.of(data), shape: [], dtype: 'float32' });
  }
  const array = isNumbers(data) ? Float32Array.from(data) : data;
  const dtype: DType =
    array instanceof Float32Array ? 'float32' : array instanceof Int32Array ? 'int32' : 'int64';
  const size = shape ? shape.reduce((a, b) => a * b, 1) : array.length;
  if (size !== array.length) {
    throw new ShapeError(
      `constant: shape ${show(shape ?? [])} needs ${size} values, got ${array.length}`,
    );
  }
  return apply1(constantOp, [], { data: array, shape: shape ?? [array.length], dtype });
}

function isNumbers(data: unknown): data is readonly number[] {
  return Array.isArray(data);
}

/** An integer constant (int64), as indices and shapes need it. */
export function integers(values: readonly number[], shape?: readonly number[]): Tensor {
  return constant(BigInt64Array.from(values.map(BigInt)), shape);
}

/** All calls that `roots` depend on, inputs before users. */
export function topologicalOrder(roots: readonly Tensor[]): Call[] {
  const order: Call[] = [];
  const seen = new Set<Call>();
  const stack: { call: Call; next: number }[] = [];
  for (const root of roots) {
    if (!seen.has(root.call)) stack.push({ call: root.call, next: 0 });
    seen.add(root.call);
    while (stack.length > 0) {
      const top = stack.at(-1)!;
      const child = top.call.inputs[top.next++];
      if (!child) {
        order.push(top.call);
        stack.pop();
      } else if (!seen.has(child.call)) {
        seen.add(child.call);
        stack.push({ call: child.call, next: 0 });
      }
    }
  }
  return order;
}

/** One axis of a shape, negative counted from the end. @throws ShapeError when there is none */
export function axisOf(shape: Shape, axis: number, where: string): number {
  const at = axis < 0 ? axis + shape.length : axis;
  if (at < 0 || at >= shape.length) {
    throw new ShapeError(`${where}: axis ${axis} is outside ${show(shape)}`);
  }
  return at;
}
