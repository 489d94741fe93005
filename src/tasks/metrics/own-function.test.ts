import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { metricOf } from './index.ts';

const folder = mkdtempSync(join(tmpdir(), 'whetstone-metric-'));

/** The metric of a module with this text. */
function own(name: string, text: string) {
  writeFileSync(join(folder, name), text);
  return metricOf({ name: 'function', path: `./${name}` }, { folder });
}

const answers = (...outputs: string[]) =>
  outputs.map((output) => ({ output, golds: ['ab', 'abcd'], input: 'abcdefgh' }));

describe('function', () => {
  it('takes the best gold, and promises as well', async () => {
    const metric = await own(
      'length.mjs',
      'export default async (o, g, i) => Math.abs(o.length - g.length) / i.length;',
    );
    expect(await metric.score(answers('', 'abcd'))).toEqual([0.5, 0.25]);
  });

  it('loads TypeScript where the process does', async () => {
    const metric = await own('typed.ts', 'export default (o: string): number => (o ? 1 : 0);');
    expect(await metric.score(answers('x', ''))).toEqual([1, 0]);
  });

  it('gives null for an example that throws, gives null or no share', async () => {
    const metric = await own(
      'odd.mjs',
      `export default (o) => {
        if (o === 'throw') throw new Error('no');
        return { null: null, NaN, two: 2, text: '1', undefined, one: 1 + 1e-12 }[o];
      };`,
    );
    const outputs = ['throw', 'null', 'NaN', 'two', 'text', 'undefined', 'one'];
    expect(await metric.score(answers(...outputs))).toEqual([...Array(6).fill(null), 1]);
  });

  it('stops after ten in a row, over several calls, and says why', async () => {
    const metric = await own(
      'bad.mjs',
      'export default (o) => { if (!o) throw new Error("oops"); return 1; };',
    );
    const differing = (...outputs: string[]) =>
      outputs.map((output, i) => ({ output, golds: ['ab'], input: `${outputs.length} ${i}` }));
    expect(
      (await metric.score(differing(...Array(9).fill(''), 'x', ...Array(6).fill('')))).at(-7),
    ).toBe(1);
    expect(metric.lastFailure!()).toBe('./bad.mjs threw: oops');
    await expect(metric.score(differing('', '', '', ''))).rejects.toThrow(
      /^metric function: 10 examples in a row .* .\/bad.mjs threw: oops; correct the metric/,
    );
  });

  it('counts an answer once that is judged again', async () => {
    const metric = await own(
      'some.mjs',
      'export default (o) => { if (!o) throw new Error("oops"); return 1; };',
    );
    const some = [0, 1, 2, 3].map((i) => ({ output: '', golds: ['ab'], input: `${i}` }));
    for (let again = 0; again < 5; again++) {
      expect(await metric.score(some)).toEqual([null, null, null, null]);
    }
  });

  it('ends when the run does', async () => {
    const metric = await own('fine.mjs', 'export default () => 1;');
    await expect(metric.score(answers('x'), AbortSignal.abort())).rejects.toMatchObject({
      name: 'AbortError',
    });
  });

  it('refuses a module that is not there, broken, or without a function', async () => {
    await expect(metricOf({ name: 'function', path: 'no.mjs' }, { folder })).rejects.toThrow(
      'metric.path: no.mjs: no such file',
    );
    await expect(own('broken.mjs', 'throw new Error("at once")')).rejects.toThrow(
      'cannot be loaded: at once',
    );
    await expect(own('none.mjs', 'export const x = 1;')).rejects.toThrow('got none');
    await expect(metricOf('function')).rejects.toThrow('metric function: path');
  });
});
