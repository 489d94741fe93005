/** The examples of `whetstone/tensor` and the code in docs/tensor.md, run as a reader would. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const timeout = 300_000; // each is a process of its own, on a machine that may be busy

async function run(script: string, ...args: string[]): Promise<string> {
  const child = promisify(execFile)(process.execPath, ['--import', 'tsx', script, ...args]);
  return (await child).stdout;
}

const example = (name: string, ...args: string[]) =>
  run(fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url)), ...args);

it('autograd prints the graph and finds the line', { timeout }, async () => {
  const printed = await example('autograd');
  expect(printed).toContain('%8 = reduceMean(%7');
  expect(printed).toContain('y = 3.000·x + -1.000');
});

it('train-tiny-lm lowers its loss and writes with its own characters', { timeout }, async () => {
  const printed = await example('train-tiny-lm', '60');
  const losses = [...printed.matchAll(/loss ([\d.]+)/g)].map((match) => Number(match[1]));
  expect(losses[0]).toBeGreaterThan(2.5);
  expect(losses.at(-1)).toBeLessThan(1.5);
  expect(printed).toMatch(/ {2}the [a-z .,?]{40,}\n$/);
});

it('docs/tensor.md: the code prints what the page says', { timeout }, async () => {
  const page = await readFile(new URL('../docs/tensor.md', import.meta.url), 'utf8');
  const code = /```ts\n([\s\S]*?)```/.exec(page)![1]!;
  const expected = /It prints [\s\S]*?```\n([\s\S]*?)```/.exec(page)![1]!;
  const folder = await mkdtemp(join(tmpdir(), 'whetstone-docs-'));
  const script = join(folder, 'sample.mts');
  const source = new URL('../src/tensor/index.ts', import.meta.url).href;
  await writeFile(script, code.replace('whetstone/tensor', source));
  expect(await run(script)).toBe(expected);
  await rm(folder, { recursive: true });
});
