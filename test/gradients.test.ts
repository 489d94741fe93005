/**
 * Every op of the table, against float64: the engine's forward, the gradients against central
 * differences, the gradients of those, and the emitted gradients against the evaluated ones.
 */
import { afterAll, describe, expect, it } from 'vitest';
import { sizeOf } from '../src/tensor/dims.ts';
import { topologicalOrder } from '../src/tensor/graph.ts';
import * as t from '../src/tensor/index.ts';
import {
  centralDifferences,
  Engine,
  emitProgram,
  evaluate,
  grad,
  type HostTensor,
  input,
  ops,
  type Tensor,
  type Value,
  type Values,
  value,
} from '../src/tensor/index.ts';
import { createRng } from '../src/util/rng.ts';
import { type Given, modelCases, type OpCase, opCases, symbols } from './support/op-cases.ts';

/** Ops through which no gradient flows, and why none should. */
const withoutDerivative: Record<string, string> = {
  greaterOrEqual: 'a truth value is constant wherever it does not jump',
  equal: 'a truth value is constant wherever it does not jump',
  range: 'has no inputs',
  elementCount: 'has no inputs',
  quantize: 'rounds; training runs in float32',
  int8Matmul: 'its activations are rounded; training runs in float32',
  blockMatmul: 'its activations are rounded; training runs in float32',
};
/** Ops that declare another derivative than that of what they compute: they have their own test. */
const declared = ['stopGradient'];

const engine = new Engine({ threads: 1 });
afterAll(() => engine.close());

describe('the op table', () => {
  it('has a case for every op', () => {
    const covered = [...Object.keys(opCases), ...declared];
    expect([...ops.keys()].filter((name) => !covered.includes(name))).toEqual([]);
    expect(covered.filter((name) => !ops.has(name))).toEqual([]);
  });

  it('has a derivative for every op, or a reason why not', () => {
    const without = [...ops.values()].filter((op) => op.vjp === null).map((op) => op.name);
    expect(without.sort()).toEqual(Object.keys(withoutDerivative).sort());
  });

  it.each(Object.keys(opCases))('%s occurs in each of its cases', (name) => {
    // Reductions over no axes, and slices of everything, are no calls at all.
    const used = opCases[name]!.filter((one) =>
      topologicalOrder(one.build().outputs).some((call) => call.op.name === name),
    );
    expect(used.length).toBeGreaterThan(0);
    expect(opCases[name]!.length - used.length).toBeLessThan(2);
  });

  it('has a symbolic dimension in a case of every op', () => {
    const hasSymbol = (one: OpCase) =>
      one.build().inputs.some(({ tensor }) => tensor.shape.some((dim) => typeof dim === 'string'));
    expect(Object.keys(opCases).filter((name) => !opCases[name]!.some(hasSymbol))).toEqual([]);
  });
});

describe.each([...Object.values(opCases).flat(), ...modelCases])('$name', (one) => {
  const { inputs, outputs } = one.build();
  const feeds = Object.fromEntries(inputs.map(({ tensor, value }) => [nameOf(tensor), value]));
  const results = Object.fromEntries(outputs.map((tensor, i) => [`y${i}`, tensor]));
  const isQuantised = /^(int8|quantize)/.test(one.name);

  it('forward: the engine agrees with the reference', async () => {
    const expected = evaluate(results, feeds);
    const got = await runEngine(results, feeds);
    for (const name of Object.keys(results)) {
      expectClose(got[name]!, expected[name]!, isQuantised ? 2e-2 : 2e-6);
    }
  });

  const real = inputs.filter(({ tensor }) => tensor.dtype === 'float32');
  const parts = outputs.filter(({ dtype }) => dtype === 'float32');
  if (parts.length === 0 || isQuantised) return;

  const loss = weighted(parts, 'w');
  const first = grad(
    loss.sum,
    real.map(({ tensor }) => tensor),
  );
  const given = { ...feeds, ...loss.feeds };

  it('gradients agree with central differences', () => {
    expectSlopes(loss.sum, { real, gradients: first, feeds: given });
  });

  it('gradients of the gradients agree with central differences', () => {
    const { sum: ofGradients, feeds } = weighted(first, 'u');
    const sum = t.add(loss.sum, ofGradients);
    const second = grad(
      sum,
      real.map(({ tensor }) => tensor),
    );
    expectSlopes(sum, { real, gradients: second, feeds: { ...given, ...feeds } });
  });

  it('gradients run by the engine agree with the reference', async () => {
    const program: Record<string, Tensor> = { loss: loss.sum, ...named(real, first) };
    const expected = evaluate(program, given);
    const got = await runEngine(program, given);
    for (const name of Object.keys(program)) expectClose(got[name]!, expected[name]!, 1e-4);
  });
});

/** Σ w∘y over several tensors, with random weights as inputs. */
function weighted(tensors: readonly Tensor[], prefix: string): { sum: Tensor; feeds: Values } {
  const rng = createRng(prefix);
  const feeds: Record<string, Value> = {};
  const sums = tensors.map((y, i) => {
    const sizes = y.shape.map((dim) => sizeOf(dim, symbols));
    const size = sizes.reduce((a, b) => a * b, 1);
    const data = Float32Array.from({ length: size }, () => rng.normal());
    feeds[`${prefix}${i}`] = value(data, sizes);
    return t.reduceSum(t.mul(y, input(`${prefix}${i}`, y.shape)));
  });
  return { sum: sums.reduce(t.add), feeds };
}

function expectSlopes(
  loss: Tensor,
  {
    real,
    gradients,
    feeds,
  }: { real: readonly Given[]; gradients: readonly Tensor[]; feeds: Values },
): void {
  const used = new Set(
    topologicalOrder([loss, ...gradients]).flatMap((call) => call.outputs.map(nameOf)),
  );
  const names = real.map(({ tensor }) => nameOf(tensor)).filter((name) => used.has(name));
  const slopes = centralDifferences(loss, names, feeds);
  // The loss comes with its gradients: what they reshape to may be known from its inputs alone.
  const got = evaluate({ loss, ...named(real, gradients) } as Record<string, Tensor>, feeds);
  for (const name of names) expectClose(got[`d.${name}`]!, slopes[name]!, 1e-6);
}

function named(real: readonly Given[], gradients: readonly Tensor[]): Record<string, Tensor> {
  return Object.fromEntries(real.map(({ tensor }, i) => [`d.${nameOf(tensor)}`, gradients[i]!]));
}

function nameOf(tensor: Tensor): string {
  return (tensor.call.attributes as { name?: string } | null)?.name ?? '';
}

/** Runs a program once; what comes back is in float64 like the reference's. */
async function runEngine(
  outputs: Readonly<Record<string, Tensor>>,
  feeds: Values,
): Promise<Record<string, Value>> {
  const executable = await engine.load(emitProgram(outputs));
  const host = executable.program.inputs.map(({ name, dtype }) => [
    name,
    toHost(feeds[name]!, dtype),
  ]);
  const results = await executable.run(Object.fromEntries(host));
  await executable.unload();
  return Object.fromEntries(
    Object.entries(results).map(([name, { data, shape }]) => [
      name,
      { data: Float64Array.from(data as ArrayLike<number>, Number), shape },
    ]),
  );
}

function toHost({ data, shape }: Value, dtype: Tensor['dtype']): HostTensor {
  return dtype === 'int64' ? t.int64(data, shape) : t.float32(Float32Array.from(data), shape);
}

/** Equal shapes, and elements within `tolerance` of the largest one. */
function expectClose(got: Value, expected: Value, tolerance: number): void {
  expect(got.shape).toEqual(expected.shape);
  const scale = expected.data.reduce((a, b) => Math.max(a, Math.abs(b)), 0.1);
  const error = got.data.reduce((a, b, i) => Math.max(a, Math.abs(b - expected.data[i]!)), 0);
  expect(error / scale).toBeLessThan(tolerance);
}
