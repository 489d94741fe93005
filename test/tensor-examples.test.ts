/** The examples of `whetstone/tensor`, run as their first lines say. */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';

const timeout = 180_000; // each is a process of its own, on a machine that may be busy

async function example(name: string, ...args: string[]): Promise<string> {
  const script = fileURLToPath(new URL(`../examples/${name}.ts`, import.meta.url));
  const run = promisify(execFile)(process.execPath, ['--import', 'tsx', script, ...args]);
  return (await run).stdout;
}

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
