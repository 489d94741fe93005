/**
 * Memory for time: activations between two points of a graph are not kept for the backward pass but
 * computed again there. Source: Chen et al., arXiv 1604.06174.
 *
 * The engine removes common subexpressions and runs what it can as early as it can; either would
 * undo this. So the second computation starts from copies of its inputs that depend on the
 * cotangent (`after`): it is another expression, and it cannot begin before the backward pass has
 * come down to it. In the same way the backward pass goes further down only after this part's
 * gradients are done, so that what was computed again is freed before the next part needs room.
 */
import { ShapeError } from '../../errors.ts';
import { pullback } from '../grad.ts';
import {
  apply1,
  applyAgain,
  type Call,
  constantOp,
  elementTypes,
  type Op,
  type Tensor,
  topologicalOrder,
} from '../graph.ts';

interface RecomputeAttributes {
  /** Calls from the sources to `y`, inputs before users. */
  readonly region: readonly Call[];
  /** What the region reads: the given inputs, then what it takes from outside besides. */
  readonly sources: readonly Tensor[];
  readonly inputCount: number;
  readonly y: Tensor;
}

/** Sources and y in, y out; its gradient goes through a second computation of y. */
export const recomputeOp: Op<RecomputeAttributes> = {
  name: 'recompute',
  infer: (inputs) => [inputs.at(-1)!],
  vjp: ({ inputs, attributes }, [dy], needed) => {
    const { sources, inputCount } = attributes;
    const copies = sources.map((_, i) => after(inputs[i]!, i < inputCount ? [dy!] : []));
    const wrt = copies.filter((_, i) => needed[i]);
    const gradients = pullback(again(attributes, copies), dy!, wrt);
    const of = (i: number) => (needed[i] ? gradients[wrt.indexOf(copies[i]!)] : undefined);
    const captured = sources.slice(inputCount).flatMap((_, i) => of(inputCount + i) ?? []);
    return inputs.map((_, i) => {
      const dx = i < sources.length ? of(i) : undefined;
      return dx && i < inputCount ? after(dx, captured) : dx;
    });
  },
  emit: ({ inputs, outputs, node }) => {
    node('Identity', inputs.slice(-1), { outputs });
  },
};

/**
 * `y` as it is, but what lies between `inputs` and `y` is computed again for the gradient instead
 * of being kept: per layer, `x = recompute(layer(x), [x])`. The layer may read other tensors
 * (parameters, masks), which get their gradients as ever.
 * @throws ShapeError when `y` does not depend on the inputs
 */
export function recompute(y: Tensor, inputs: readonly Tensor[]): Tensor {
  const region = between(inputs, y);
  if (region.length === 0) throw new ShapeError('recompute: the result does not use the inputs');
  const inside = new Set(region);
  const captured = region
    .flatMap((call) => call.inputs)
    .filter((x) => !inputs.includes(x) && !inside.has(x.call))
    .filter((x) => x.dtype === 'float32' && x.call.op !== (constantOp as Op));
  const sources = [...inputs, ...new Set(captured)];
  const attributes = { region, sources, inputCount: inputs.length, y };
  return apply1(recomputeOp, [...sources, y], attributes);
}

/** The first tensor, once all the others are computed. */
export const afterOp: Op<null> = {
  name: 'after',
  infer: ([x]) => [x!],
  vjp: ({ inputs }, [dy]) => inputs.map((_, i) => (i === 0 ? dy : undefined)),
  // Nothing of the others is appended to x, which no optimiser sees through: one copy of x.
  emit: ({ inputs: [x, ...others], outputs, call, node, dims, constant: make }) => {
    if (others.length === 0) {
      node('Identity', [x!], { outputs });
      return;
    }
    const [zero, flat] = [make(BigInt64Array.of(0n), [1]), make(BigInt64Array.of(-1n), [1])];
    const { dtype, shape } = call.inputs[0]!;
    const nothing = others.map((other, i) => {
      const empty = node('Slice', [node('Reshape', [other, flat]), zero, zero, zero]);
      if (call.inputs[i + 1]!.dtype === dtype) return empty;
      return node('Cast', [empty], { attributes: { to: BigInt(elementTypes[dtype]) } });
    });
    const all = [node('Reshape', [x!, flat]), ...nothing];
    const copy = node('Concat', all, { attributes: { axis: 0n } });
    node('Reshape', [copy, dims(shape)], { outputs });
  },
};

function after(x: Tensor, others: readonly Tensor[]): Tensor {
  return apply1(afterOp, [x, ...others], null);
}

/** Calls that `y` needs and that depend on `inputs`. */
function between(inputs: readonly Tensor[], y: Tensor): Call[] {
  const given = new Set(inputs);
  const dependent = new Set<Call>();
  const order = topologicalOrder([y]);
  for (const call of order) {
    if (call.inputs.some((x) => given.has(x) || dependent.has(x.call))) dependent.add(call);
  }
  const needed = new Set(given.has(y) ? [] : [y.call]);
  for (const call of [...order].reverse()) {
    if (!needed.has(call) || !dependent.has(call)) continue;
    for (const x of call.inputs) if (!given.has(x)) needed.add(x.call);
  }
  return order.filter((call) => dependent.has(call) && needed.has(call));
}

/** The region once more, with copies in the place of its sources. */
function again({ region, sources, y }: RecomputeAttributes, copies: readonly Tensor[]): Tensor {
  const copyOf = new Map(sources.map((source, i) => [source, copies[i]!]));
  for (const call of region) {
    const inputs = call.inputs.map((x) => copyOf.get(x) ?? x);
    const { outputs } = applyAgain(call, inputs);
    call.outputs.forEach((output, i) => {
      if (!copyOf.has(output)) copyOf.set(output, outputs[i]!);
    });
  }
  return copyOf.get(y)!;
}
