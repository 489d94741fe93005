/**
 * Reverse-mode differentiation at graph level: `grad` adds nodes to the graph, and what it returns
 * is emitted and run like anything else, or differentiated again. Only paths from `wrt` to the loss
 * are visited, so frozen weights and cached prefixes cost nothing.
 * Source: Griewank & Walther, Evaluating Derivatives, 3.2.
 */
import { ShapeError } from '../errors.ts';
import { sameShape, show } from './dims.ts';
import { type Call, constant, type Tensor, topologicalOrder } from './graph.ts';
import { add } from './ops/elementwise.ts';
import { expand } from './ops/shape.ts';

/**
 * Gradients of a scalar `loss` with respect to each of `wrt`, in their shapes.
 * @throws ShapeError when the loss is no scalar or an op on the way has no derivative
 */
export function grad(loss: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (loss.shape.length !== 0) {
    throw new ShapeError(`grad: the loss must be a scalar, got shape ${show(loss.shape)}`);
  }
  return pullback(loss, constant(1), wrt);
}

/**
 * Cotangents of each of `wrt` from the cotangent of `y`: the vector-Jacobian product of what lies
 * between. `grad` is this with the cotangent 1.
 * @throws ShapeError when the shapes differ or an op on the way has no derivative
 */
export function pullback(y: Tensor, cotangent: Tensor, wrt: readonly Tensor[]): Tensor[] {
  if (!sameShape(y.shape, cotangent.shape)) {
    throw new ShapeError(
      `pullback: a cotangent of shape ${show(y.shape)} is needed, got ${show(cotangent.shape)}`,
    );
  }
  const leaves = new Set(wrt);
  const order = topologicalOrder([y]);
  const active = activeCalls(order, leaves);
  const isActive = (x: Tensor) => leaves.has(x) || active.has(x.call);
  const cotangents = new Map<Tensor, Tensor>([[y, cotangent]]);
  for (const call of order.reverse()) {
    if (!active.has(call)) continue;
    const outputs = call.outputs.map((output) => cotangents.get(output));
    if (outputs.every((dy) => dy === undefined)) continue;
    if (call.op.vjp === null) {
      throw new ShapeError(`grad: ${call.op.name} has no derivative, and the loss depends on it`);
    }
    const needed = call.inputs.map(isActive);
    const inputs = call.op.vjp(call, outputs, needed);
    call.inputs.forEach((x, i) => {
      const dx = inputs[i];
      if (dx === undefined || !needed[i]) return;
      const sofar = cotangents.get(x);
      cotangents.set(x, sofar ? add(sofar, dx) : dx);
    });
  }
  return wrt.map((x) => cotangents.get(x) ?? expand(constant(0), x.shape));
}

/** Calls with an output on a path from one of the leaves. */
function activeCalls(order: readonly Call[], leaves: ReadonlySet<Tensor>): Set<Call> {
  const active = new Set<Call>();
  for (const call of order) {
    if (call.inputs.some((x) => leaves.has(x) || active.has(x.call))) active.add(call);
  }
  return active;
}
