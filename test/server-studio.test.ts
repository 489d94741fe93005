/** The studio's routes over a real store and real runs on a tiny model: what each answers. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import type { z } from 'zod';
import type * as contract from '../src/server/contract.ts';
import { openPath } from '../src/server/openapi.ts';
import { routes } from '../src/server/routes/index.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { type TestStudio, testStudio } from './support/studio-server.ts';
import { type TinyTask, writeTinyTask } from './support/tiny-task.ts';

let studio: TestStudio;
let task: TinyTask;
let yaml: string;
let run: string;

beforeAll(async () => {
  studio = await testStudio();
  task = await writeTinyTask(studio.folder);
  yaml = readFileSync(task.path, 'utf8');
  ({ id: run } = await studio.post<contract.Started>('/api/runs', { yaml }));
  await ended(run);
}, 120_000);
afterAll(() => studio.end());

async function ended(id: string): Promise<contract.RunDetail> {
  for (;;) {
    const detail = await studio.get<contract.RunDetail>(`/api/runs/${id}`);
    if (detail.state !== 'running') return detail;
    await sleep(100);
  }
}

/** Asks a route and holds the answer to the route's own schema. */
async function held<T>(
  method: 'get' | 'post',
  pattern: string,
  path: string,
  body?: unknown,
): Promise<T> {
  const route = routes.find((one) => one.method === method && one.path === pattern)!;
  const answer = method === 'get' ? await studio.get(path) : await studio.post(path, body);
  expect((route.answer as z.ZodType).safeParse(answer).error).toBeUndefined();
  return answer as T;
}

describe('a run that the studio started', () => {
  it('is one of the command line, and ends as such', async () => {
    const detail = await held<contract.RunDetail>('get', '/api/runs/:id', `/api/runs/${run}`);
    expect(detail).toMatchObject({ id: run, method: 'random', state: 'done', task: 'rows' });
    expect(detail.examples).toEqual({ train: 18, validation: 8, test: 12 });
    expect(detail.bestPrompt).toBe((detail.result as { prompt: string }).prompt);
    expect(detail.rows).toHaveLength(3);
    expect(detail.lineage.at(-1)!.prompt).not.toBe('');
    expect(detail.lastEpisode).toMatchObject({
      prompt: expect.any(String),
      gold: expect.any(String),
    });
    const main = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');
    const env = { ...process.env, WHETSTONE_HOME: studio.home };
    const { stdout } = spawnSync(process.execPath, [main, 'runs', 'list', '--json'], {
      env,
      encoding: 'utf8',
    });
    const lines = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(lines.map(({ runId }) => runId)).toContain(run);
  });

  it('kept its configuration where others cannot read it', () => {
    const folder = join(studio.home, 'studio');
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    const names = readdirSync(folder).filter((name) => name.endsWith('.yaml'));
    expect(readFileSync(join(folder, names[0]!), 'utf8')).toBe(yaml);
    for (const name of readdirSync(folder)) {
      expect(statSync(join(folder, name)).mode & 0o777).toBe(0o600);
    }
  });

  it('is listed with its score and a sparkline', async () => {
    const page = await held<contract.Page<contract.RunSummary>>('get', '/api/runs', '/api/runs');
    const line = page.items.find(({ id }) => id === run)!;
    expect(line.test!.examples).toBe(12);
    expect(line.spark.length).toBeGreaterThan(1);
  });

  it('has a series, a log and prompts', async () => {
    const series = await held<contract.Series>(
      'get',
      '/api/runs/:id/series',
      `/api/runs/${run}/series?points=5`,
    );
    const { step, value } = series.measures.reward!;
    expect(step.length).toBeLessThanOrEqual(5);
    expect(value).toHaveLength(step.length);
    expect(series.steps).toBeGreaterThanOrEqual(step.length);
    const log = await held<contract.Page<contract.LogEntry>>(
      'get',
      '/api/runs/:id/log',
      `/api/runs/${run}/log?kinds=start,result`,
    );
    expect(log.items.map(({ event }) => event.kind)).toEqual(['start', 'result']);
    const first = await held<contract.Page<contract.PromptRow>>(
      'get',
      '/api/runs/:id/prompts',
      `/api/runs/${run}/prompts?limit=2`,
    );
    const next = await studio.get<contract.Page<contract.PromptRow>>(
      `/api/runs/${run}/prompts?limit=2&offset=${first.next}`,
    );
    const rewards = [...first.items, ...next.items].map(({ reward }) => reward!);
    expect(rewards).toEqual([...rewards].sort((a, b) => b - a));
    expect(first.total).toBeGreaterThan(4);
  });
});

describe('the playground', () => {
  it('shows what the found prompt answers, and the same score as the run', async () => {
    const table = await held<contract.ExampleTable>(
      'get',
      '/api/runs/:id/examples',
      `/api/runs/${run}/examples?limit=200`,
    );
    const { validation } = await studio.get<contract.RunDetail>(`/api/runs/${run}`);
    expect(table.rows).toHaveLength(8);
    const right = table.rows.filter(({ isRight }) => isRight).length;
    expect(right / 8).toBeCloseTo(validation!.score);
    for (const { shares, answer, gold } of table.rows) {
      expect(Object.values(shares!).reduce((a, b) => a + b, 0)).toBeCloseTo(1);
      expect(['good', 'bad']).toEqual(expect.arrayContaining([answer, gold]));
      expect(shares![answer]).toBe(Math.max(...Object.values(shares!)));
    }
  });

  it('tries two prompts, and a text of one’s own', async () => {
    const prompts = ['tone is', 'mood was very'];
    const both = await held<contract.PlaygroundAnswer>(
      'post',
      '/api/playground',
      '/api/playground',
      { run, prompts, split: 'train', limit: 6 },
    );
    expect(both.prompts.map(({ prompt, rows }) => [prompt, rows.length])).toEqual([
      ['tone is', 6],
      ['mood was very', 6],
    ]);
    expect(both.prompts[0]!.tokens.length).toBeGreaterThan(1);
    expect(both.prompts[0]!.rows.map(({ input }) => input)).toEqual(
      both.prompts[1]!.rows.map(({ input }) => input),
    );
    const own = await studio.post<contract.PlaygroundAnswer>('/api/playground', {
      run,
      prompts: ['tone is'],
      input: 'warm slow walk',
    });
    expect(own.prompts[0]).toMatchObject({ rows: [{ input: 'warm slow walk', gold: '' }] });
    expect(own.prompts[0]!.score).toBeUndefined();
  });

  it('never shows the test split', async () => {
    expect((await studio.ask(`/api/runs/${run}/examples?split=test`)).status).toBe(400);
    const body = { run, prompts: ['x'], split: 'test' };
    expect((await studio.ask('/api/playground', { method: 'POST', body })).status).toBe(400);
  });
});

describe('a new run', () => {
  it('is checked in every place before it starts', async () => {
    const { problems } = await held<contract.PlanAnswer>('post', '/api/plan', '/api/plan', {
      yaml: 'task: { data: rows.csv, inptu: text }\nbudget: { minutes: 0 }\n',
    });
    expect(problems.map(({ path }) => path).sort()).toEqual(['budget.minutes', 'task.inptu']);
    expect(problems.find(({ path }) => path === 'task.inptu')!.message).toContain(
      'did you mean input?',
    );
  });

  it.each([
    ['task: [', ''],
    ['task: { data: none.csv }', ''],
    ['task: { data: rows.csv, input: nothing }', 'task.input'],
    ['task: { data: rows.csv }\nmethod: { name: guess }', 'method.name'],
  ])('%j has one problem', async (text) => {
    const { problems } = await studio.post<contract.PlanAnswer>('/api/plan', { yaml: text });
    expect(problems).toHaveLength(1);
    expect(problems[0]!.message).not.toContain('\n');
  });

  it('is planned without anything being sent', async () => {
    const before = studio.store.queries.countRuns();
    const { plan, problems } = await held<contract.PlanAnswer>('post', '/api/plan', '/api/plan', {
      yaml,
    });
    expect(problems).toEqual([]);
    expect(plan!.calls).toBeGreaterThan(400);
    expect(studio.store.queries.countRuns()).toBe(before);
  });

  it('that cannot run is refused with the reason', async () => {
    const response = await studio.ask('/api/runs', {
      method: 'POST',
      body: { yaml: 'task: { data: none.csv }\n' },
    });
    expect(response.status).toBeGreaterThanOrEqual(400);
    expect(await response.json()).toMatchObject({ message: expect.stringContaining('none.csv') });
  });

  it('runs no code of its own', async () => {
    writeFileSync(
      join(studio.folder, 'evil.mjs'),
      `import { writeFileSync } from 'node:fs';\nwriteFileSync(${JSON.stringify(join(studio.folder, 'ran'))}, '');\nexport default () => 1;\n`,
    );
    const own =
      'task: { kind: question-answering, data: rows.csv, input: text, gold: label, metric: { name: function, path: ./evil.mjs } }\ntaskLm: ./tiny\n';
    for (const path of ['/api/runs', '/api/data', '/api/comparisons']) {
      const body = {
        yaml: own,
        ...(path === '/api/comparisons' ? { methods: ['manual'], seeds: 1 } : {}),
      };
      const response = await studio.ask(path, { method: 'POST', body });
      expect(await response.json()).toMatchObject({
        message: expect.stringContaining('from the command line'),
      });
    }
    const { problems } = await studio.post<contract.PlanAnswer>('/api/plan', { yaml: own });
    expect(problems[0]).toMatchObject({ path: 'task.metric' });
    expect(readdirSync(studio.folder)).not.toContain('ran');
  });

  it('has a schema to make a form from', async () => {
    const { config, methods } = await held<contract.SchemaAnswer>(
      'get',
      '/api/schema',
      '/api/schema',
    );
    expect(config).toMatchObject({ properties: { task: {}, budget: {} } });
    expect(methods.map(({ name }) => name)).toContain('soft-q');
    for (const { options } of methods) expect(options).toMatchObject({ type: 'object' });
  });
});

describe('data', () => {
  it('shows splits and keeps the test texts sealed', async () => {
    const report = await held<contract.DataReport>('post', '/api/data', '/api/data', { run });
    expect(report.splits.map(({ name, examples }) => [name, examples])).toEqual([
      ['train', 18],
      ['validation', 8],
      ['test', 12],
    ]);
    expect(report.splits[0]!.rows).toHaveLength(18);
    expect(report.splits[2]).toMatchObject({ rows: [] });
    expect(report.splits[2]!.gold.reduce((sum, { count }) => sum + count, 0)).toBe(12);
    // Two rows of the file stand twice; the first of each is kept.
    expect(report.duplicates.map(({ isLeak }) => isLeak)).toEqual([false, false]);
  });

  it('of a run that was recorded by another schema are refused with a sentence', async () => {
    const old = studio.store.createRun({
      ...{ method: 'random', config: { task: 7 }, seed: 1, versions: {}, hashes: {} },
    });
    studio.store.finishRun(old, { state: 'interrupted' });
    const examples = `/api/runs/${old}/examples?split=train`;
    for (const response of [
      await studio.ask('/api/data', { method: 'POST', body: { run: old } }),
      await studio.ask(examples),
    ]) {
      expect({ status: response.status, ...((await response.json()) as object) }).toMatchObject({
        status: 422,
        message: expect.stringContaining('its configuration is of another version'),
      });
    }
    await studio.ask(`/api/runs/${old}`, { method: 'DELETE' });
  });

  it('finds what stands twice, and leaks first', async () => {
    const put = (name: string, rows: string[]) =>
      writeFileSync(join(studio.folder, name), ['text,label', ...rows].join('\n'));
    put('a.csv', ['one good,p', 'two bad,n', 'Two  BAD,n', 'three fine,p']);
    put('b.csv', ['three  Fine,p', 'four poor,n', 'five,p']);
    put('c.csv', ['six,p', 'six,p', 'seven,n']);
    const text = stringify({
      task: {
        data: { train: 'a.csv', validation: 'b.csv', test: 'c.csv' },
        labels: { n: 'bad', p: 'good' },
      },
    });
    const { duplicates, warnings, splits } = await held<contract.DataReport>(
      'post',
      '/api/data',
      '/api/data',
      { yaml: text },
    );
    expect(duplicates).toEqual([
      {
        input: 'three fine',
        places: [
          { split: 'train', row: 5 },
          { split: 'validation', row: 2 },
        ],
        isLeak: true,
      },
      {
        input: 'two bad',
        places: [
          { split: 'train', row: 3 },
          { split: 'train', row: 4 },
        ],
        isLeak: false,
      },
      {
        input: '(a text of the sealed test split)',
        places: [
          { split: 'test', row: 2 },
          { split: 'test', row: 3 },
        ],
        isLeak: false,
      },
    ]);
    expect(warnings[0]).toContain('stands in two splits');
    expect(splits.map(({ examples }) => examples)).toEqual([4, 3, 3]);
  });
});

describe('comparisons', () => {
  it('start, are watched and judged', async () => {
    const body = { yaml, methods: ['random', 'manual'], seeds: 1 };
    const { id } = await studio.post<contract.Started>('/api/comparisons', body);
    let detail: contract.ComparisonDetail;
    do {
      await sleep(200);
      detail = await held('get', '/api/comparisons/:id', `/api/comparisons/${id}`);
    } while (detail.cells.some(({ state }) => state !== 'done') || detail.cells.length < 2);
    expect(detail).toMatchObject({
      id,
      task: 'rows',
      done: 2,
      total: 2,
      failed: 0,
      methods: ['random', 'manual'],
    });
    expect(detail.rows.map(({ method }) => method)).toEqual(['random', 'manual']);
    expect(detail.pairs).toHaveLength(1);
    expect(detail.verdict.length).toBeGreaterThan(0);
    expect(detail.curves.find(({ method }) => method === 'random')!.points.length).toBeGreaterThan(
      0,
    );
    // What is done is found again, although no run begins.
    expect(await studio.post('/api/comparisons', body)).toEqual({ id });
    const list = await held<contract.Page<contract.ComparisonSummary>>(
      'get',
      '/api/comparisons',
      '/api/comparisons',
    );
    expect(list.items).toHaveLength(1);
  });
});

describe('the rest', () => {
  it('says what it is and which models there are', async () => {
    const about = await held<contract.About>('get', '/api/about', '/api/about');
    expect(about.version).toMatch(/^\d+\./);
    const models = await held<contract.Page<contract.ModelRow>>(
      'get',
      '/api/models',
      '/api/models',
    );
    expect(models.items.map(({ name }) => name)).toContain('smollm2-135m-instruct');
  });

  it('documents exactly the routes that there are', async () => {
    const document = await studio.get<{
      openapi: string;
      paths: Record<string, Record<string, { operationId: string; summary: string }>>;
    }>('/api/openapi.json');
    expect(document.openapi).toBe('3.1.0');
    const documented = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method} ${path}`),
    );
    expect(documented.sort()).toEqual(
      routes.map(({ method, path }) => `${method} ${openPath(path)}`).sort(),
    );
    // As the header of the contract lists them.
    const contractText = readFileSync(
      join(packageRoot(), 'src', 'server', 'contract.ts'),
      'utf8',
    ).split('*/')[0]!;
    for (const { method, path } of routes) {
      const [start] = path.split('/:id').map((part) => part.replaceAll('/', '\\/'));
      expect(contractText).toMatch(new RegExp(`${method.toUpperCase()} +${start}`));
    }
    for (const one of Object.values(document.paths).flatMap((methods) => Object.values(methods))) {
      expect(one.summary).not.toBe('');
    }
    const ids = Object.values(document.paths).flatMap((methods) =>
      Object.values(methods).map(({ operationId }) => operationId),
    );
    expect(new Set(ids).size).toBe(ids.length);
    expect(JSON.stringify(document)).not.toContain('#/definitions');
  });

  it('answers what is not there with 404 and a sentence', async () => {
    for (const path of [
      '/api/runs/none',
      '/api/runs/none/series',
      '/api/comparisons/none',
      '/api/none',
      '/api/runs/..%2f..',
      '/api/runs/%00',
    ]) {
      const response = await studio.ask(path);
      expect(response.status).toBe(404);
      expect(await response.json()).toMatchObject({ code: 'not-found' });
    }
    for (const query of ['limit=0', 'limit=x', 'limit=1e9', 'lmit=1']) {
      expect((await studio.ask(`/api/runs?${query}`)).status).toBe(400);
    }
  });
});
