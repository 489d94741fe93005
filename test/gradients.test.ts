/** Gradients against central differences, computed by the engine itself. */
import { afterAll, describe, expect, it } from 'vitest';
import { pathConsistency } from '../src/methods/path-consistency.ts';
import * as t from '../src/tensor/index.ts';
import {
  Engine,
  emitProgram,
  float32,
  floats,
  grad,
  input,
  type Tensor,
} from '../src/tensor/index.ts';
import { createRng } from '../src/util/rng.ts';

const engine = new Engine({ threads: 1 });
afterAll(() => engine.close());

const c = (values: number[], shape: number[]) => t.constant(Float32Array.from(values), shape);
const ramp = (n: number) => Array.from({ length: n }, (_, i) => 0.3 + 0.17 * i);

/** Soft Q-learning's loss of one prompt of two tokens out of three actions, x its Q-values. */
const softQLoss = (bootstrap: boolean) => (x: Tensor) =>
  pathConsistency(x, c(ramp(6), [2, 3]), {
    actions: t.integers([2, 0], [2, 1]),
    sampledLogProbs: c([-1, -2], [2]),
    signals: c([1.5], [1]),
    tokens: 2,
    bootstrap,
  }).loss;

/** Functions of x [2, 3] (positive values) to any shape. */
const cases: Record<string, (x: Tensor) => Tensor> = {
  add: (x) => t.add(x, c([1, 2, 3], [3])),
  'sub, broadcast': (x) => t.sub(c(ramp(6), [2, 1, 3]), x),
  mul: (x) => t.mul(x, x),
  div: (x) => t.div(c(ramp(3), [3]), x),
  maximum: (x) => t.maximum(x, c([0.6], [])),
  minimum: (x) => t.minimum(x, c([0.6], [])),
  neg: (x) => t.neg(x),
  exp: (x) => t.exp(x),
  log: (x) => t.log(x),
  sqrt: (x) => t.sqrt(x),
  tanh: (x) => t.tanh(x),
  sigmoid: (x) => t.sigmoid(x),
  relu: (x) => t.relu(t.sub(x, c([0.7], []))),
  erf: (x) => t.erf(x),
  silu: (x) => t.silu(x),
  gelu: (x) => t.gelu(x),
  'gelu-tanh': (x) => t.gelu(x, 'tanh'),
  where: (x) => t.where(t.greaterOrEqual(x, c([0.7], [])), t.mul(x, x), t.neg(x)),
  reduceSum: (x) => t.reduceSum(x, [0]),
  reduceMean: (x) => t.reduceMean(x, [1], true),
  reduceMax: (x) => t.reduceMax(x, [1]),
  logSumExp: (x) => t.logSumExp(x),
  softmax: (x) => t.softmax(x),
  logSoftmax: (x) => t.logSoftmax(x),
  'reshape, transpose': (x) => t.transpose(t.reshape(x, [3, 2]), [1, 0]),
  'concat, split': (x) => t.mul(t.concat([t.split(x, [1, 2], 1)[1]!, x], 1), c(ramp(5), [5])),
  slice: (x) => t.slice(x, 1, 1, 3),
  expand: (x) => t.expand(t.reshape(x, [2, 1, 3]), [2, 4, 3]),
  gather: (x) => t.gather(x, t.integers([1, 0, 1])),
  scatterAddRows: (x) => t.scatterAddRows([3, 3], t.integers([2, 2]), x),
  takeAlong: (x) => t.takeAlong(x, t.integers([2, 0, 0, 1], [2, 2])),
  scatterAlong: (x) => t.scatterAlong([2, 5], t.integers([4, 0, 1, 1, 2, 3], [2, 3]), x),
  matmul: (x) => t.matmul(x, c(ramp(12), [3, 4])),
  'matmul, transposed': (x) => t.matmul(x, c(ramp(12), [4, 3]), { transB: true, alpha: 0.5 }),
  'matmul, right side': (x) => t.matmul(c(ramp(8), [4, 2]), x),
  'matmul, both': (x) => t.matmul(x, x, { transA: true }),
  'matmul, batched': (x) => t.matmul(t.reshape(x, [2, 1, 3]), c(ramp(24), [2, 3, 4])),
  rmsNorm: (x) => t.rmsNorm(x, c([1, 2, 0.5], [3]), 1e-5),
  layerNorm: (x) => t.layerNorm(x, c([1, 2, 0.5], [3]), c([0, 1, 2], [3]), 1e-5),
  'path consistency': softQLoss(true),
  'path consistency without bootstrapping': softQLoss(false),
};

async function evaluate(build: (x: Tensor) => Tensor) {
  const x = input('x', [2, 3]);
  const y = build(x);
  const size = y.shape.reduce<number>((a, d) => a * (d as number), 1);
  const loss = t.reduceSum(t.mul(t.reshape(y, [size]), c(ramp(size), [size])));
  const executable = await engine.load(emitProgram({ loss, dx: grad(loss, [x])[0]! }));
  return async (values: Float32Array<ArrayBuffer>) => {
    const out = await executable.run({ x: float32(values, [2, 3]) });
    return { loss: floats(out.loss)[0]!, dx: floats(out.dx) };
  };
}

describe('gradients', () => {
  it.each(Object.keys(cases))('%s', async (name) => {
    const f = await evaluate(cases[name]!);
    const rng = createRng(name);
    const x = Float32Array.from({ length: 6 }, () => 0.4 + rng.next());
    const { dx } = await f(x);
    const h = 1e-2;
    for (let i = 0; i < x.length; i++) {
      const at = async (delta: number) =>
        (await f(x.map((v, j) => (j === i ? v + delta : v)))).loss;
      const slope = ((await at(h)) - (await at(-h))) / (2 * h);
      expect(Math.abs(dx[i]! - slope)).toBeLessThan(5e-3 * Math.max(1, Math.abs(slope)));
    }
  });
});
