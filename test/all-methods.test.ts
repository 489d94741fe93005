/**
 * Every built-in method in one comparison through the command line, on the demo's data and a tiny
 * checkpoint: killed in the middle, gone on with, and what its report says of each kind of result.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Method, methods } from '../src/methods/index.ts';
import type { CompareResult, CompareRow } from '../src/runs/compare-events.ts';
import { KINDS } from '../src/runs/report/report.ts';
import { demoFolder, demoTaskConfig } from '../src/tasks/demo.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');
// What a policy LM of random weights answers in text is nothing that reflection could use.
const compared = (Object.values(methods) as unknown as Method[]).filter(
  ({ needs }) => !needs?.writer,
);
const names = compared.map(({ name }) => name);
const BUDGET = 500;
const small = {
  autoprompt: { searchWidth: 8 },
  evolution: { children: 8, genes: 'uniform' },
  'few-shot': { draws: 4, shots: 2 },
  manual: { prompts: ['it was', 'The food was', 'very'] },
  random: { batchSize: 8 },
  grpo: { groups: 1, groupSize: 4, promptTokens: 4, warmSteps: 1, rank: 2 },
  'soft-q': { batchSize: 8, adapterWidth: 16 },
  'policy-gradient': { batchSize: 8, adapterWidth: 16 },
  'soft-prompt': { virtualTokens: 3, learningRate: 0.03 },
  'fine-tune': { rank: 2, learningRate: 0.003 },
};

type Event = Readonly<Record<string, unknown>> & { readonly kind: string };

function compare(folder: string, watch: (child: ChildProcess, events: readonly Event[]) => void) {
  if (!existsSync(built)) throw new Error('build first: npm run build');
  const args = ['compare', 'all.yaml', '--methods', names.join(), '--seeds', '1', '--json'];
  const env = { ...process.env, WHETSTONE_HOME: join(folder, 'home'), NO_COLOR: '1' };
  const child = spawn(process.execPath, [built, ...args], { cwd: folder, env });
  let [out, err] = ['', ''];
  const events = () =>
    out
      .slice(0, out.lastIndexOf('\n') + 1)
      .split('\n')
      .flatMap((line): Event[] => (line === '' ? [] : [JSON.parse(line)]));
  child.stdout.on('data', (chunk) => {
    out += chunk;
    watch(child, events());
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise<{ code: number | null; err: string; events: Event[] }>((resolve) => {
    child.on('close', (code) => resolve({ code, err, events: events() }));
  });
}

const cells = (events: readonly Event[], state: string) =>
  events.filter((e) => e.kind === 'cell' && e.state === state).map(({ method }) => method);

describe.skipIf(!existsSync(demoFolder()))('all methods (needs assets/demo)', () => {
  let task: TinyTask;
  let killed: readonly Event[];
  let resumed: readonly Event[];
  let result: CompareResult;
  beforeAll(async () => {
    task = await tinyTask();
    const config = {
      task: { ...demoTaskConfig(), maxExamples: 24, template: '{input} {prompt}' },
      taskLm: './model',
      policyLm: './model',
      methods: small,
      budget: { evaluations: BUDGET, minutes: 5 },
      precision: { search: 'float32' },
    };
    await writeFile(join(task.folder, 'all.yaml'), JSON.stringify(config));
    // The last cell has begun: texts wait for their test, a soft prompt has had its own.
    const first = await compare(task.folder, (child, events) => {
      if (cells(events, 'running').length === names.length) child.kill('SIGKILL');
    });
    expect(first.code).toBeNull();
    killed = first.events;
    const second = await compare(task.folder, () => {});
    expect({ code: second.code, err: second.err }).toEqual({ code: 0, err: '' });
    resumed = second.events;
    result = resumed.at(-1) as unknown as CompareResult;
  }, 300_000);
  afterAll(() => task.remove());

  it('pays for no cell twice', async () => {
    const before = [...cells(killed, 'untested'), ...cells(killed, 'done')];
    expect(before.length).toBeGreaterThanOrEqual(names.length - 1);
    expect(cells(resumed, 'running').filter((method) => before.includes(method))).toEqual([]);
    const grid = resumed.find(({ kind }) => kind === 'comparison');
    expect(grid!.resumed).toBe(names.length - cells(resumed, 'running').length);
    const again = await compare(task.folder, () => {});
    expect(cells(again.events, 'running')).toEqual([]);
    expect(again.events.at(-1)).toEqual(result);
  }, 60_000);

  it('gives the rows, pairs and files that programs rely on', () => {
    expect(Object.keys(result)).toEqual(['kind', 'rows', 'pairs', 'report', 'ledger']);
    expect(result.rows.map(({ method }) => method)).toEqual(names);
    const kinds = result.rows.map(({ kindOfResult }) => kindOfResult);
    expect(kinds).toEqual(compared.map(({ finds = 'text' }) => finds));
    for (const { test, validation, evaluations, seconds, usd, ...row } of result.rows) {
      expect(usd).toBe(0);
      expect(row.seeds).toEqual([1]);
      for (const value of [test!.mean, ...test!.interval, validation!]) {
        expect(value).toBeGreaterThanOrEqual(0);
        expect(value).toBeLessThanOrEqual(1);
      }
      expect(seconds).toBeGreaterThan(0);
      expect(evaluations).toBeGreaterThan(0);
    }
    const couples = names.flatMap((a, i) => names.slice(i + 1).map((b) => `${a} ${b}`));
    expect(result.pairs.map(({ a, b }) => `${a} ${b}`)).toEqual(couples);
    for (const pair of result.pairs) {
      expect(Object.keys(pair)).toEqual(['a', 'b', 'difference', 'interval', 'p', 'pAdjusted']);
      expect(pair.pAdjusted).toBeGreaterThanOrEqual(pair.p);
    }
    expect(Object.keys(result.report)).toEqual(['html', 'markdown']);
  });

  it('keeps every method to its budget, up to the step in which that ends', () => {
    const later = cells(resumed, 'running');
    for (const { method, evaluations } of result.rows) {
      const steps = (later.includes(method) ? resumed : killed).filter(
        (event) => event.kind === 'step' && event.method === method,
      );
      const spent = steps.map((step) => Number(step.evaluations));
      const open = spent.slice(0, -1);
      expect(Math.max(0, ...open), method).toBeLessThan(BUDGET);
      expect(evaluations, method).toBeLessThan(BUDGET + 250);
    }
  });

  it('says of each kind of result what it is, what was found, and whether it moves', async () => {
    const html = await readFile(result.report.html, 'utf8');
    const markdown = await readFile(result.report.markdown, 'utf8');
    const found: Record<CompareRow['kindOfResult'], RegExp> = {
      text: /<code>[^<]+<\/code>/,
      'soft-prompt': /3 virtual tokens behind the input/,
      weights: /LoRA of rank 2 on q and v/,
      policy: /a policy that reads/,
    };
    for (const { method, kindOfResult } of result.rows) {
      const { what, moves } = KINDS[kindOfResult];
      const nature = html.split(`<b>${method}</b>`).at(-1)!.split('</tr>')[0]!;
      expect(nature).toContain(what);
      expect(nature).toContain(moves);
      expect(html.split(`<h3>${method}</h3>`)[1]!.split('<h3>')[0]!).toMatch(found[kindOfResult]);
      expect(markdown).toMatch(new RegExp(`\\| ${method} \\|.*${what}`));
    }
    expect(html).toContain('Comparison: customer-remarks');
    expect(html.match(/<svg viewBox="0 0 400/g)).toHaveLength(3);
  });
});
