/**
 * The reference evaluator: runs a graph op by op in float64, in plain TypeScript, without the
 * engine. It is slow and small; its use is to be right. An op and its gradient are checked against
 * it (`centralDifferences`), and it shows what a graph computes where the engine's answer is in doubt.
 *
 * It stands beside the op records and not in them, so that what an op means is written down twice,
 * by different means, and no program carries it.
 */
import { ShapeError } from '../errors.ts';
import { sameShape, show, sizeOf } from './dims.ts';
import {
  type Call,
  type ConstantAttributes,
  constantOp,
  type InputAttributes,
  inputOp,
  type Op,
  type Tensor,
  topologicalOrder,
  type WeightAttributes,
  weightOp,
} from './graph.ts';
import { type Kernel, kernels as ownKernels, type Value } from './reference-kernels.ts';

export type { Kernel, Value };
export type Values = Readonly<Record<string, Value>>;

export interface ReferenceOptions {
  /** Kernels of ops that are not in the op table, by the op's name. */
  readonly kernels?: Readonly<Record<string, Kernel>>;
}

/** A value from numbers; without a shape a vector. */
export function value(data: ArrayLike<number>, shape: readonly number[] = [data.length]): Value {
  return { data: Float64Array.from(data), shape };
}

/**
 * Values of `outputs`, given those of the inputs (and weights) by name.
 * @throws ShapeError when a value does not have the shape that the graph says, or an op no kernel
 */
export function evaluate<K extends string>(
  outputs: Readonly<Record<K, Tensor>>,
  feeds: Values,
  { kernels = {} }: ReferenceOptions = {},
): Record<K, Value> {
  const entries = Object.entries(outputs) as [K, Tensor][];
  const order = topologicalOrder(entries.map(([, tensor]) => tensor));
  const symbols = bindSymbols(order, feeds);
  const values = new Map<Tensor, Value>();
  for (const call of order) {
    const results = compute(call, {
      inputs: call.inputs.map((x) => values.get(x)!),
      feeds,
      symbols,
      kernel: kernels[call.op.name] ?? ownKernels[call.op.name],
    });
    call.outputs.forEach((tensor, i) => {
      const expected = tensor.shape.map((dim) => sizeOf(dim, symbols));
      check(`${call.op.name}: output ${i}`, expected, results[i]!);
      values.set(tensor, results[i]!);
    });
  }
  return Object.fromEntries(entries.map(([name, tensor]) => [name, values.get(tensor)!])) as Record<
    K,
    Value
  >;
}

/**
 * Gradients of a scalar `loss` with respect to the named inputs by central differences,
 * (f(x + h) − f(x − h)) / 2h, one element after another.
 */
export function centralDifferences(
  loss: Tensor,
  names: readonly string[],
  feeds: Values,
  { step = 1e-5, ...options }: ReferenceOptions & { readonly step?: number } = {},
): Record<string, Value> {
  const slopes = names.map((name) => {
    const { data, shape } = feeds[name]!;
    const at = (i: number, delta: number) => {
      const moved = data.map((x, j) => (j === i ? x + delta : x));
      return evaluate({ loss }, { ...feeds, [name]: { data: moved, shape } }, options).loss
        .data[0]!;
    };
    const slope = data.map((_, i) => (at(i, step) - at(i, -step)) / (2 * step));
    return [name, { data: slope, shape }];
  });
  return Object.fromEntries(slopes);
}

interface Context {
  readonly inputs: readonly Value[];
  readonly feeds: Values;
  readonly symbols: ReadonlyMap<string, number>;
  readonly kernel: Kernel | undefined;
}

function compute(call: Call, { inputs, feeds, symbols, kernel }: Context): readonly Value[] {
  const isGiven = call.op === (inputOp as Op) || call.op === (weightOp as Op);
  if (isGiven) {
    return [given(feeds, (call.attributes as InputAttributes | WeightAttributes).name)];
  }
  if (call.op === (constantOp as Op)) {
    const { data, shape } = call.attributes as ConstantAttributes;
    return [
      { data: Float64Array.from(data as ArrayLike<number>, Number), shape: shape as number[] },
    ];
  }
  if (!kernel) throw new ShapeError(`reference: no kernel for the op "${call.op.name}", pass one`);
  return kernel(inputs, {
    attributes: call.attributes as never,
    sizes: (shape) => shape.map((dim) => sizeOf(dim, symbols)),
  });
}

/** Symbols get their values from the shapes of the inputs that have them. */
function bindSymbols(order: readonly Call[], feeds: Values): Map<string, number> {
  const symbols = new Map<string, number>();
  for (const call of order) {
    if (call.op !== (inputOp as Op)) continue;
    const { name, shape } = call.attributes as InputAttributes;
    const got = given(feeds, name);
    const where = `input "${name}"`;
    if (got.shape.length !== shape.length) check(where, shape, got);
    shape.forEach((dim, axis) => {
      const size = got.shape[axis]!;
      const known = typeof dim === 'number' ? dim : (symbols.get(dim) ?? size);
      if (known !== size) check(where, shape, got);
      if (typeof dim === 'string') symbols.set(dim, size);
    });
  }
  return symbols;
}

function given(feeds: Values, name: string): Value {
  const value = feeds[name];
  if (value) return value;
  throw new ShapeError(`reference: no value for "${name}", got ${Object.keys(feeds).join(', ')}`);
}

function check(where: string, expected: Tensor['shape'], { shape, data }: Value): void {
  const size = shape.reduce((a, b) => a * b, 1);
  if (sameShape(expected, shape) && size === data.length) return;
  throw new ShapeError(
    `reference: ${where} should be ${show(expected)}, got ${show(shape)} of ${data.length} values`,
  );
}
