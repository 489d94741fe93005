/** What `grad` leaves out, what it refuses, and conventions where a derivative is a choice. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import * as t from './index.ts';
import { emitProgram, evaluate, grad, input, type Tensor, value, weight } from './index.ts';

let weights = 0;
const frozen = (...shape: number[]) =>
  weight({
    name: `w${weights++}`,
    shape,
    dtype: 'float32',
    file: 'model.safetensors',
    offset: 0,
    sizeBytes: 4 * shape.reduce((a, b) => a * b, 1),
  });

const layer = (x: Tensor, w: Tensor) => t.tanh(t.matmul(x, w));
const nodes = (outputs: Record<string, Tensor>) => emitProgram(outputs).nodeCount;

describe('grad leaves out', () => {
  it('gradients of frozen weights', () => {
    const prompt = input('prompt', ['N', 8]);
    const weights = [frozen(8, 8), frozen(8, 8), frozen(8, 8)];
    /** How many nodes the gradients of `wrt` add to a forward pass of some layers. */
    const backward = (layers: number, wrt: Tensor[]) => {
      const loss = t.reduceSum(weights.slice(0, layers).reduce(layer, prompt));
      const gradients = grad(loss, wrt).map((d, i) => [`d${i}`, d]);
      return nodes({ loss, ...Object.fromEntries(gradients) }) - nodes({ loss });
    };
    // A layer's backward: three nodes for tanh, one product.
    expect(backward(3, [prompt]) - backward(2, [prompt])).toBe(4);
    // With its weight: another product.
    expect(backward(3, weights) - backward(2, weights.slice(0, 2))).toBe(4 + 1);
  });

  it('what lies before the trained input', () => {
    const [ids, change] = [input('ids', ['N'], 'int64'), input('change', [8])];
    const [table, first, second] = [frozen(20, 8), frozen(8, 8), frozen(8, 8)];
    const build = (prefix: Tensor) => {
      const loss = t.reduceSum(layer(t.add(prefix, change), second));
      return { loss, d: grad(loss, [change])[0]! };
    };
    const prefix = layer(t.gather(table, ids), first);
    // A prefix that is computed adds its forward nodes and no others to one that is given.
    const given = nodes(build(input('prefix', ['N', 8])));
    expect(nodes(build(prefix)) - given).toBe(nodes({ prefix }));
  });

  it('the gradient of what the loss does not use: zeros', () => {
    const [x, y] = [input('x', [2]), input('y', [2])];
    const { d } = evaluate({ d: grad(t.reduceSum(x), [y])[0]! }, {});
    expect([...d.data]).toEqual([0, 0]);
  });
});

describe('grad', () => {
  it('refuses a loss that is no scalar, and an op without a derivative', () => {
    const x = input('x', [2, 3]);
    expect(() => grad(x, [x])).toThrow('must be a scalar, got shape [2, 3]');
    const y = t.int8Matmul(
      t.quantize(x),
      t.cast(t.constant(new Float32Array(6), [3, 2]), 'int8'),
      input('s', [2]),
    );
    expect(() => grad(t.reduceSum(y), [x])).toThrow('int8Matmul has no derivative');
  });

  it('goes through intermediate tensors and stops at none of them', () => {
    const x = input('x', []);
    const y = t.exp(x);
    const [dx, dy] = grad(t.mul(y, y), [x, y]);
    const at = evaluate({ dx: dx!, dy: dy! }, { x: value([0.5], []) });
    expect(at.dy.data[0]).toBeCloseTo(2 * Math.exp(0.5), 12);
    expect(at.dx.data[0]).toBeCloseTo(2 * Math.exp(1), 12);
  });

  it('takes stopGradient as a constant', () => {
    const x = input('x', []);
    const [dx] = grad(t.mul(x, t.stopGradient(t.exp(x))), [x]);
    expect(evaluate({ dx: dx! }, { x: value([0.5], []) }).dx.data[0]).toBeCloseTo(
      Math.exp(0.5),
      12,
    );
  });

  it.each<[string, (x: Tensor) => Tensor, number[], number[]]>([
    ['relu at 0', t.relu, [0, 1], [0, 1]],
    ['abs at 0', t.abs, [0, -1], [1, -1]],
    ['equal maxima share', (x) => t.reduceMax(x, [0]), [2, 1, 2], [0.5, 0, 0.5]],
    ['maximum of equals: the first', (x) => t.maximum(x, t.constant(1)), [1, 2], [1, 1]],
  ])('%s', (_, f, at, slopes) => {
    const x = input('x', [at.length]);
    const [dx] = grad(t.reduceSum(f(x)), [x]);
    expect([...evaluate({ dx: dx! }, { x: value(at) }).dx.data]).toEqual(slopes);
  });
});

describe('recompute', () => {
  it('refuses inputs that the result does not use', () => {
    const [x, y] = [input('x', [2]), input('y', [2])];
    expect(() => t.recompute(t.exp(x), [y])).toThrow('does not use');
  });

  it('asks for no gradients of the frozen weights inside', () => {
    const x = input('x', ['N', 8]);
    const w = frozen(8, 8);
    const loss = t.reduceSum(t.recompute(layer(x, w), [x]));
    const printed = t.printGraph({ d: grad(loss, [x])[0]! });
    // Once more forward, and one product for dx; the first forward serves the loss alone.
    expect(printed.match(/= matmul/g)?.length).toBe(2);
  });

  // Without the copies that wait for the cotangent, the engine merges both computations (measured:
  // 452 MB for both); without the wait for the layer's own gradients, it keeps what was computed
  // again until the outputs that stand last (92 MB in one order of outputs, 476 MB in the other).
  it('needs far less memory for the same gradients, in whatever order', { timeout }, async () => {
    const run = promisify(execFile)(process.execPath, ['--import', 'tsx', script]);
    const { plain, ...others } = JSON.parse((await run).stdout) as Record<string, Measured>;
    expect(plain!.riseMb).toBeGreaterThan(150);
    for (const less of [others.recomputed!, others.otherOrder!]) {
      expect(Math.abs(less.loss / plain!.loss - 1)).toBeLessThan(1e-6);
      expect(Math.abs(less.checksum / plain!.checksum - 1)).toBeLessThan(1e-6);
      expect(less.riseMb).toBeLessThan(plain!.riseMb / 2);
    }
  });
});

interface Measured {
  readonly loss: number;
  readonly checksum: number;
  readonly riseMb: number;
}

const timeout = 300_000; // a process of its own, on a machine that may be busy
const script = fileURLToPath(new URL('../../test/support/peak-memory.ts', import.meta.url));
