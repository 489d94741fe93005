/**
 * Reverse-mode differentiation at graph level: `grad` adds nodes to the graph, and what it returns
 * is emitted and run like anything else. Only paths from `wrt` to `loss` are visited, so frozen
 * weights and cached prefixes cost nothing. Source: Griewank & Walther, Evaluating Derivatives, 3.2.
 */
import { ShapeError } from '../errors.ts';
import { show } from './dims.ts';
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
  const order = topologicalOrder([loss]);
  const active = activeCalls(order, wrt);
  const cotangents = new Map<Tensor, Tensor>([[loss, constant(1)]]);
  for (const call of order.reverse()) {
    if (!active.has(call)) continue;
    const outputs = call.outputs.map((y) => cotangents.get(y));
    if (outputs.every((dy) => dy === undefined)) continue;
    if (call.op.vjp === null) {
      throw new ShapeError(`grad: ${call.op.name} has no derivative, and the loss depends on it`);
    }
    const inputs = call.op.vjp(call, outputs);
    call.inputs.forEach((x, i) => {
      const dx = inputs[i];
      if (dx === undefined || !(active.has(x.call) || wrt.includes(x))) return;
      const sofar = cotangents.get(x);
      cotangents.set(x, sofar ? add(sofar, dx) : dx);
    });
  }
  return wrt.map((x) => cotangents.get(x) ?? expand(constant(0), x.shape));
}

/** Calls with an output on a path from one of `wrt`. */
function activeCalls(order: readonly Call[], wrt: readonly Tensor[]): Set<Call> {
  const leaves = new Set<Tensor>(wrt);
  const active = new Set<Call>();
  for (const call of order) {
    if (call.inputs.some((x) => leaves.has(x) || active.has(x.call))) active.add(call);
  }
  return active;
}
