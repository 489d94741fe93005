/** A text that leaves no room for what a method puts beside it is refused before the search. */
import { appendFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { methodOf } from '../src/runs/configured-method.ts';
import { checkRoom } from '../src/runs/optimize.ts';
import { Workbench } from '../src/runs/workbench.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

let task: TinyTask;
let bench: Workbench;
beforeAll(async () => {
  task = await tinyTask();
  // The window has 512 tokens.
  await appendFile(join(task.folder, 'test.tsv'), `${'so '.repeat(469)}so\t1\n`);
  bench = await Workbench.open(await task.load(), {});
});
afterAll(async () => {
  await bench.close();
  await task.remove();
});

async function check(...set: string[]) {
  const { methodOptions } = methodOf((await task.load(...set)).config);
  checkRoom(bench, [methodOptions]);
}

const long = Array.from({ length: 60 }, () => 'it').join(' ');

it.each([
  ['soft-prompt', ['method.virtualTokens=60'], 60],
  ['soft-prompt', ['method.virtualTokens=10', `method.prompt=${long}`], 70],
  ['fine-tune', [`method.prompt=${long}`], 60],
  ['few-shot', [`method.prompt=${long}`], 60],
  ['autoprompt', [`method.start=${long}`], 60],
  ['manual', [`method.prompts=[${long}]`], 60],
])('of %s with %j', async (name, set, needed) => {
  await check(`method.name=${name}`);
  await expect(check(`method.name=${name}`, ...set)).rejects.toThrow(
    `of the test split has 470 tokens, the task LM ./model reads 512 and the prompt needs up to ${needed}`,
  );
});
