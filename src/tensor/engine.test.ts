import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { EngineError, ShapeError } from '../errors.ts';
import { packageRoot } from '../util/package-root.ts';
import * as t from './index.ts';
import { adam, Engine, emitProgram, float32, floats, grad, input, int64 } from './index.ts';

let engine: Engine;
beforeAll(() => {
  engine = new Engine({ threads: 1 });
});
afterAll(() => engine.close());

async function evaluate(outputs: Record<string, t.Tensor>, feeds: Record<string, t.HostTensor>) {
  const executable = await engine.load(emitProgram(outputs));
  const result = await executable.run(feeds);
  await executable.unload();
  return result;
}

describe('engine', () => {
  it('runs one program for several sizes of a symbolic dimension', async () => {
    const x = input('x', ['B', 'T', 4]);
    const executable = await engine.load(
      emitProgram({ y: t.transpose(t.reshape(x, ['B*T', 2, 2]), [1, 0, 2]) }),
    );
    for (const [b, n] of [
      [1, 3],
      [2, 5],
    ] as const) {
      const { y } = await executable.run({ x: float32(new Float32Array(b * n * 4), [b, n, 4]) });
      expect(y!.shape).toEqual([2, b * n, 2]);
    }
  });

  it('computes a reshape that needs two symbols', async () => {
    const x = input('x', ['B*T', 6]);
    const like = input('like', ['B', 'T']);
    const y = t.reshape(x, ['B', 'T', 2, 3]);
    const { z } = await evaluate(
      { z: t.reduceSum(t.mul(t.reduceSum(y, [2, 3]), like), [1]) },
      {
        x: float32(
          Array.from({ length: 24 }, (_, i) => i),
          [4, 6],
        ),
        like: float32([1, 1, 1, 1], [2, 2]),
      },
    );
    expect([...floats(z)]).toEqual([66, 210]);
  });

  it('keeps outputs inside and takes them back as inputs', async () => {
    const x = input('x', ['N']);
    const executable = await engine.load(emitProgram({ y: t.mul(x, t.constant(2)) }));
    const { y } = await executable.run({ x: float32([1, 2]) }, { keep: ['y'] });
    const again = await executable.run({ x: y });
    expect([...floats(again.y)]).toEqual([4, 8]);
    await engine.drop([y]);
    await expect(executable.run({ x: y })).rejects.toThrow(/dropped/);
  });

  it('reports what the engine refuses as an EngineError', async () => {
    const executable = await engine.load(
      emitProgram({ y: t.gather(input('x', [2, 2]), input('i', ['N'], 'int64')) }),
    );
    await expect(
      executable.run({ x: float32([1, 2, 3, 4], [2, 2]), i: int64([7]) }),
    ).rejects.toThrow(EngineError);
  });

  it('refuses shapes that do not fit when the graph is made', () => {
    expect(() => t.matmul(input('a', ['B', 3]), input('b', [4, 2]))).toThrow(ShapeError);
    expect(() => t.matmul(input('a', ['B', 3]), input('b', [4, 2]))).toThrow('[B, 3]');
  });
});

describe('grad', () => {
  it('trains a line', async () => {
    const x = input('x', ['N']);
    const y = input('y', ['N']);
    const w = input('w', []);
    const b = input('b', []);
    const loss = t.reduceMean(t.square(t.sub(t.add(t.mul(x, w), b), y)));
    const [dw, db] = grad(loss, [w, b]);
    const executable = await engine.load(emitProgram({ loss, dw: dw!, db: db! }));
    const data = [0, 1, 2, 3];
    const optimizer = adam({ learningRate: 0.1 });
    let parameters: t.Parameters = { w: Float32Array.of(0), b: Float32Array.of(0) };
    let state = optimizer.init(parameters);
    for (let step = 0; step < 300; step++) {
      const out = await executable.run({
        x: float32(data),
        y: float32(data.map((v) => 3 * v - 1)),
        w: float32(parameters.w!, []),
        b: float32(parameters.b!, []),
      });
      [parameters, state] = optimizer.update(
        parameters,
        { w: floats(out.dw), b: floats(out.db) },
        state,
      );
    }
    expect(parameters.w![0]).toBeCloseTo(3, 2);
    expect(parameters.b![0]).toBeCloseTo(-1, 2);
  });
});

// The native library throws out of reach where its thread is ended while it loads.
it('can be closed at any moment after it was opened', async () => {
  const built = join(packageRoot(), 'dist', 'src', 'tensor', 'index.js');
  const code = `
    const { Engine } = await import(${JSON.stringify(pathToFileURL(built).href)});
    const engine = new Engine();
    await new Promise((resolve) => setTimeout(resolve, Number(process.argv[1])));
    await engine.close();`;
  const ends = Array.from({ length: 12 }, (_, i) => {
    const args = ['--input-type=module', '-e', code, String(10 * i)];
    return spawnSync(process.execPath, args, { encoding: 'utf8' });
  });
  expect(ends.map(({ status, stderr }) => ({ status, stderr }))).toEqual(
    ends.map(() => ({ status: 0, stderr: '' })),
  );
}, 120_000);

describe('a process that ends while the engine computes', () => {
  // Products that take a second or more, ended in their midst.
  const ended = (how: string, then = '') => {
    const built = join(packageRoot(), 'dist', 'src', 'tensor', 'index.js');
    const code = `
      const t = await import(${JSON.stringify(pathToFileURL(built).href)});
      const stop = new AbortController();
      const engine = new t.Engine({ threads: 1, signal: stop.signal });
      const x = t.input('x', [1000, 1000]);
      let y = x;
      for (let i = 0; i < 12; i++) y = t.matmul(y, x);
      const program = await engine.load(t.emitProgram({ y: t.reduceMean(y) }));
      const feeds = { x: t.float32(new Float32Array(1e6), [1000, 1000]) };
      const runs = [1, 2, 3].map(() => program.run(feeds).then(() => 'done', (error) => error.message));
      setTimeout(() => { ${how} }, 100);
      console.log(JSON.stringify(await Promise.all(runs)));
      ${then}`;
    const args = ['--input-type=module', '-e', code];
    const { status, signal, stdout, stderr } = spawnSync(process.execPath, args, {
      encoding: 'utf8',
    });
    return { status, signal, stdout, stderr };
  };

  it.each([
    ['process.exit', 'process.exit(5)', 5, /^$/],
    ['an error that nobody caught', "throw new Error('mine')", 1, /Error: mine/],
  ])('ends by %s with its own exit code', (_, how, status, err) => {
    const end = ended(how);
    expect(end).toEqual({ status, signal: null, stdout: '', stderr: expect.stringMatching(err) });
    expect(end.stderr).not.toMatch(/Napi|terminate called/);
  });

  it('is told by a signal to compute no more, and by close', () => {
    expect(ended("stop.abort(new Error('enough'))", 'await engine.close();')).toEqual({
      ...{ status: 0, signal: null, stderr: '' },
      stdout: '["enough","enough","enough"]\n',
    });
    expect(ended('engine.close()')).toEqual({
      ...{ status: 0, signal: null, stderr: '' },
      stdout: '["the engine was closed","the engine was closed","the engine was closed"]\n',
    });
  });
}, 120_000);

it('leaves no listener behind, however many engines were opened', async () => {
  const before = process.listenerCount('exit');
  const stop = new AbortController();
  for (let i = 0; i < 12; i++) {
    const one = new Engine({ threads: 1, signal: stop.signal });
    await one.close();
  }
  expect(process.listenerCount('exit')).toBe(before);
  stop.abort();
  const late = new Engine({ signal: stop.signal });
  await expect(late.load(emitProgram({ y: t.constant(1) }))).rejects.toMatchObject({
    name: 'AbortError',
  });
  await late.close();
}, 120_000);
