/** Exports: every format written, read again by its own reader, scored again; targets that fail. */
import { spawnSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { exportRun } from '../src/exports/export-run.ts';
import { type ExportFormat, exportFormats } from '../src/exports/index.ts';
import type { OptimizeResult } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { openStore, type RunStore } from '../src/runs/store.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');

let task: TinyTask;
let store: RunStore;
let text: OptimizeResult;
let tensor: OptimizeResult;
let weights: OptimizeResult;
const tensorOptions = { steps: 4, restarts: 1, learningRate: 0.05 };
beforeAll(async () => {
  task = await tinyTask({ examples: 24 });
  store = await openStore();
  const small = ['budget.evaluations=1000'];
  text = await optimize(await task.load('method.name=random', ...small), { store });
  const set = Object.entries(tensorOptions).map(([key, value]) => `method.${key}=${value}`);
  tensor = await optimize(await task.load('method.name=soft-prompt', ...set, ...small), { store });
  weights = await optimize(await task.load('method.name=fine-tune', ...set, ...small), { store });
});
afterAll(async () => {
  store?.close();
  await task?.remove();
});

const run = ({ runId }: OptimizeResult) => store.getRun(runId);
const out = (name: string) => join(task.folder, 'out', name);
const written = (
  result: OptimizeResult,
  format: ExportFormat,
  folder = out(`${result.method}-${format}`), // biome-ignore format: one line
) => exportRun(run(result), { format, out: folder, store });

function whetstone(...args: string[]) {
  return spawnSync(process.execPath, [built, ...args], { cwd: task.folder, encoding: 'utf8' });
}

describe('what a run found', () => {
  it.each(exportFormats.filter((format) => format !== 'peft'))(
    'as %s scores the same from its own bytes',
    async (format) => {
      // biome-ignore format: one line
      const result = await written(text, format);
      expect(result).toMatchObject({ kind: 'result', format, score: text.test.score, split: 'test', examples: 24 }); // biome-ignore format: one value
      expect(result.rescored).toBeCloseTo(text.test.score, 9);
      expect(result.files.length).toBeGreaterThan(0);
      // Nothing but the files is left.
      const names = await readdir(out(`random-${format}`));
      expect(names.map((name) => out(join(`random-${format}`, name))).sort()).toEqual([...result.files].sort()); // biome-ignore format: one line
    },
  );

  it('as text is the prompt to the byte', async () => {
    expect(await readFile(join(out('random-text'), 'prompt.txt'), 'utf8')).toBe(text.prompt);
  });

  it.each(['peft', 'json', 'markdown', 'html'] as const)('a tensor as %s', async (format) => {
    const result = await written(tensor, format);
    expect(result.rescored).toBeCloseTo(tensor.test.score, 9);
    if (format === 'peft') {
      const names = result.files.map((file) => file.slice(out('soft-prompt-peft').length + 1));
      expect(names.sort()).toEqual(['README.md', 'peft/README.md', 'peft/adapter_config.json', 'peft/adapter_model.safetensors', 'soft-prompt.safetensors']); // biome-ignore format: one list
    }
  });

  it('changed weights as PEFT', async () => {
    const result = await written(weights, 'peft');
    expect(result.rescored).toBeCloseTo(weights.test.score, 9);
    expect(result.files.some((file) => file.endsWith('peft/adapter_config.json'))).toBe(true);
  });

  it('promptfoo’s tests are validation examples', async () => {
    const config = parse(
      await readFile(join(out('random-promptfoo'), 'promptfooconfig.yaml'), 'utf8'),
    );
    const rows = (await readFile(join(task.folder, 'validation.tsv'), 'utf8'))
      .trim()
      .split('\n')
      .slice(1);
    const tests = config.tests.map(({ vars, assert }: { vars: { input: string }; assert: { value: string }[] }) => `${vars.input}\t${['negative', 'positive'].indexOf(assert[0]!.value)}`); // biome-ignore format: one line
    expect(tests.sort()).toEqual([...new Set(rows)].sort());
  });
});

describe('the command', () => {
  it('prints both scores and the files', () => {
    const ran = whetstone(
      'export',
      text.runId.slice(0, -1),
      '--to',
      'json',
      '--out',
      'cli',
      '--json',
    );
    expect([ran.status, ran.stderr]).toEqual([0, '']);
    const last = JSON.parse(ran.stdout.trim().split('\n').at(-1)!);
    expect(last).toMatchObject({ kind: 'result', files: [join(task.folder, 'cli', 'prompt.json')], score: text.test.score, rescored: text.test.score }); // biome-ignore format: one value
  });

  it('refuses what a format cannot hold before anything is opened', () => {
    const ran = whetstone('export', tensor.runId, '--to', 'text', '--out', 'never');
    expect([ran.status, ran.stdout]).toEqual([2, '']);
    expect(ran.stderr).toBe('whetstone: --to text: holds a text, and this run found a tensor; take one of json, peft, markdown, html\n'); // biome-ignore format: one line
    const other = whetstone('export', text.runId, '--to', 'peft');
    expect(other.stderr).toContain(
      'holds tensors, and this run found a text; take one of text, json',
    );
  });
});

describe('targets that fail', () => {
  it('a file in the way', async () => {
    await writeFile(join(task.folder, 'file'), 'mine');
    await expect(written(text, 'text', join(task.folder, 'file'))).rejects.toThrow(
      'a file is in the way',
    );
    await expect(written(text, 'text', join(task.folder, 'file', 'below'))).rejects.toThrow(
      'a file is in the way',
    );
    expect(await readFile(join(task.folder, 'file'), 'utf8')).toBe('mine');
  });

  it('a folder where a file goes: what was there is there as before', async () => {
    const folder = out('blocked');
    await mkdir(join(folder, 'openai.json'), { recursive: true });
    await writeFile(join(folder, 'openai.README.md'), 'mine');
    await expect(written(text, 'openai', folder)).rejects.toThrow(
      'is a folder, where a file of the export would go',
    );
    expect((await readdir(folder)).sort()).toEqual(['openai.README.md', 'openai.json']);
    expect(await readFile(join(folder, 'openai.README.md'), 'utf8')).toBe('mine');
  });

  it.skipIf(process.getuid?.() === 0)('a folder that cannot be written', async () => {
    await mkdir(out('closed'), { recursive: true });
    await chmod(out('closed'), 0o500);
    await expect(written(text, 'text', out('closed'))).rejects.toThrow('not writable');
  });

  it('a file system that takes no files', async () => {
    await expect(written(text, 'text', '/proc/whetstone')).rejects.toThrow(
      'the export cannot be written there',
    );
  });
});

describe('what is not as it was', () => {
  it('a score that differs is an error, and no file appears', async () => {
    const honest = run(text);
    const boasting = {
      ...honest,
      result: { ...text, test: { ...text.test, score: text.test.score + 0.25 } },
    };
    const folder = out('boasting');
    await expect(exportRun(boasting, { format: 'text', out: folder, store })).rejects.toThrow(
      /the export scores [\d.]+% where the run scored [\d.]+% on the same 24 test examples/,
    );
    await expect(readdir(folder)).rejects.toThrow('ENOENT');
  });

  it('a run that found nothing, another model, changed data', async () => {
    const { result: _, ...empty } = run(text);
    await expect(exportRun(empty, { format: 'text', out: out('x'), store })).rejects.toThrow(
      'has found nothing yet',
    );
    const hashes = { ...run(text).hashes, taskLm: 'another' };
    await expect(
      exportRun({ ...run(text), hashes }, { format: 'text', out: out('x'), store }),
    ).rejects.toThrow('is not the task LM that run');
    const path = join(task.folder, 'test.tsv');
    const rows = await readFile(path, 'utf8');
    await writeFile(path, `${rows}a new row\t1\n`);
    await expect(written(text, 'text', out('x'))).rejects.toThrow(
      'test.tsv: has changed since run',
    );
    await rm(path);
    await expect(written(text, 'text', out('x'))).rejects.toThrow('test.tsv');
    await writeFile(path, rows);
    await expect(readdir(out('x'))).rejects.toThrow('ENOENT');
  });
});
