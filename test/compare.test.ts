/** Comparisons through the command line, on a tiny checkpoint: grid, resume, failure, report. */
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { copyFile, mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, beforeEach, describe, expect, it, vi } from 'vitest';
import { type Database, sqliteDriver } from '../src/runs/sqlite.ts';
import { packageRoot } from '../src/util/package-root.ts';
import { createRng } from '../src/util/rng.ts';
import { fixtures } from './tiny-models.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');
// Several processes a test, each of which opens a model.
vi.setConfig({ testTimeout: 300_000 });

let model: string;
let folder: string;

beforeAll(async () => {
  model = await mkdtemp(join(tmpdir(), 'whetstone-model-'));
  await writeWordModel(model);
});
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-compare-'));
  await writeFile(join(folder, 'data.csv'), dataOf(1));
});

/** The tiny checkpoint with a tokenizer whose words begin with a space, as policies need them. */
async function writeWordModel(target: string): Promise<void> {
  const source = join(fixtures, 'models', 'llama');
  for (const name of ['config.json', 'model.safetensors']) {
    await copyFile(join(source, name), join(target, name));
  }
  const tokenizer = JSON.parse(await readFile(join(source, 'tokenizer.json'), 'utf8'));
  const vocab = Object.entries<number>(tokenizer.model.vocab).map(([word, id]) => [
    /^w\d/.test(word) ? `Ġ${letters(Number(word.slice(1)))}` : word,
    id,
  ]);
  const byteLevel = { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true };
  const pre = { ...byteLevel, use_regex: true };
  const changed = {
    ...tokenizer,
    pre_tokenizer: pre,
    decoder: pre,
    model: { ...tokenizer.model, vocab: Object.fromEntries(vocab) },
  };
  await writeFile(join(target, 'tokenizer.json'), JSON.stringify(changed));
}

/** Words of letters alone: numbers would be split off. */
const letters = (i: number): string =>
  `w${String.fromCharCode(97 + Math.floor(i / 10), 97 + (i % 10))}`;

function dataOf(seed: number): string {
  const rng = createRng(seed);
  const rows = Array.from({ length: 60 }, (_, i) => {
    const words = Array.from({ length: 4 }, () => letters(2 + rng.integer(80)));
    return ` ${words.join(' ')},${letters(i % 2)}`;
  });
  return `text,label\n${rows.join('\n')}\n`;
}

interface Setting {
  readonly data?: string;
  readonly methods?: object;
  readonly evaluations?: number;
}

async function configure({ data = 'data.csv', methods = {}, evaluations = 600 }: Setting = {}) {
  const config = {
    task: { data, input: 'text', gold: 'label', template: '{input} {prompt}' },
    taskLm: model,
    policyLm: model,
    methods: { manual: { prompts: ['waf wag', 'wah', 'wai waj wba'] }, ...methods },
    budget: { evaluations, minutes: 5 },
  };
  await writeFile(join(folder, 'w.yaml'), JSON.stringify(config));
}

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function start(args: readonly string[], watch: (child: ChildProcess, out: string) => void) {
  if (!existsSync(built)) throw new Error('build first: npm run build');
  const env = { ...process.env, WHETSTONE_HOME: join(folder, 'home'), NO_COLOR: '1' };
  const child = spawn(process.execPath, [built, ...args], { cwd: folder, env });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
    watch(child, out);
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise<Outcome>((resolve) => {
    child.on('close', (code) => resolve({ code, out, err }));
  });
}

/** Changes the store as another program might have. */
async function inStore(work: (database: Database) => void): Promise<void> {
  const database = (await sqliteDriver()).open(join(folder, 'home', 'runs.sqlite'));
  work(database);
  database.close();
}

const whetstone = (...args: string[]) => start(args, () => {});
const events = (out: string) =>
  out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));
const GRID = ['compare', 'w.yaml', '--json', '--methods', 'manual,random', '--seeds', '2'];
const ran = (out: string) =>
  events(out).filter(({ kind, state }) => kind === 'cell' && state === 'running');

describe('a grid of two methods and two seeds', () => {
  it('costs only what is new when a method or a seed is added, unless what it depends on changed', async () => {
    await configure();
    await whetstone(...GRID);
    const more = ['compare', 'w.yaml', '--json', '--methods', 'random,manual,evolution'];
    const wider = await whetstone(...more, '--seeds', '3');
    expect(wider.err).toBe('');
    const keys = ran(wider.out).map(({ method, seed }) => `${method} ${seed}`);
    expect(keys.sort()).toEqual([
      'evolution 1',
      'evolution 2',
      'evolution 3',
      'manual 3',
      'random 3',
    ]);
    expect(events(wider.out).at(-1).rows.map((row: { seeds: number[] }) => row.seeds.length)).toEqual([3, 3, 3]); // biome-ignore format: one line
    await configure({ methods: { random: { promptTokens: 2 } } });
    const changed = await whetstone(...GRID);
    expect(ran(changed.out).map(({ method }) => method)).toEqual(['random', 'random']);
    await configure({ evaluations: 601 });
    expect(ran((await whetstone(...GRID)).out).length).toBe(4);
  });

  it('gives rows, pairs and a report; each cell is a run; asked again, nothing is paid', async () => {
    await configure();
    const first = await whetstone(...GRID);
    expect(first.err).toBe('');
    expect(first.code).toBe(0);
    const result = events(first.out).at(-1);
    expect(Object.keys(result)).toEqual(['kind', 'rows', 'pairs', 'report', 'ledger']);
    expect(result.rows.map((row: { method: string }) => row.method)).toEqual(['manual', 'random']);
    for (const row of result.rows) {
      expect(Object.keys(row)).toEqual([
        'method',
        'kindOfResult',
        'seeds',
        'test',
        'validation',
        'evaluations',
        'seconds',
        'usd',
      ]);
      expect(row).toMatchObject({ kindOfResult: 'text', seeds: [1, 2] });
      const [low, high] = row.test.interval;
      expect(low).toBeLessThanOrEqual(row.test.mean);
      expect(high).toBeGreaterThanOrEqual(row.test.mean);
    }
    // The budget ends random; manual ends by itself.
    expect(result.rows[1].evaluations).toBeGreaterThanOrEqual(600);
    expect(result.rows[0].evaluations).toBeLessThan(600);
    const [pair] = result.pairs;
    expect(Object.keys(pair)).toEqual(['a', 'b', 'difference', 'interval', 'p', 'pAdjusted']);
    expect(pair.difference).toBeCloseTo(result.rows[0].test.mean - result.rows[1].test.mean, 12);
    expect(pair.pAdjusted).toBe(pair.p);

    const html = await readFile(result.report.html, 'utf8');
    expect(html).not.toMatch(/<script|https?:/i);
    expect(html.match(/<svg viewBox="0 0 400/g)).toHaveLength(3);
    const { runs } = events((await whetstone('runs', 'list', '--json')).out).at(-1);
    expect(runs.map((run: { state: string }) => run.state)).toEqual(Array(4).fill('done'));
    for (const run of runs) expect(html).toContain(run.id);
    expect(await readFile(result.report.markdown, 'utf8')).toContain('## Differences');

    const again = await whetstone(...GRID);
    expect(ran(again.out)).toEqual([]);
    expect(events(again.out).at(-1)).toEqual(result);
    const fresh = await whetstone(...GRID, '--fresh');
    expect(ran(fresh.out)).toHaveLength(4);
  });

  it('takes over cells of a version that did not know all settings yet, also when it had begun itself', async () => {
    await configure();
    await whetstone(...GRID);
    const wider = ['compare', 'w.yaml', '--json', '--methods', 'manual,random', '--seeds', '3'];
    const cut = await start(wider, (child, out) => {
      if (ran(out.slice(0, out.lastIndexOf('\n'))).length === 1) child.kill('SIGKILL');
    });
    expect(cut.code).toBeNull();
    // As the first comparison would lie there: without what was added since; and the second, begun
    // before it could take anything over.
    await inStore((database) => {
      const rows = database.prepare('SELECT id, plan FROM comparisons').all();
      for (const { id, plan } of rows as { id: string; plan: string }[]) {
        const { config, methods, ...rest } = JSON.parse(plan);
        const { policy: _, labelWords: __, ...old } = config;
        const random = methods.find(({ name }: { name: string }) => name === 'random');
        delete random.options.promptTokens;
        const text = JSON.stringify({ config: old, methods, ...rest });
        database.prepare('UPDATE comparisons SET plan = ? WHERE id = ?').run(text, id);
        if (rest.repetitions.length === 3) {
          database.prepare('DELETE FROM cells WHERE comparison = ?').run(id);
        }
      }
    });
    const { out } = await whetstone(...wider);
    const grid = events(out).find(({ kind }) => kind === 'comparison');
    expect(grid.resumed).toBe(4);
    expect(ran(out).map(({ method, seed }) => `${method} ${seed}`)).toEqual([
      'manual 3',
      'random 3',
    ]);
  });

  it('a cell that was cut off begins again where it comes out otherwise than it was recorded', async () => {
    await configure({ evaluations: 5000 });
    const args = ['compare', 'w.yaml', '--json', '--methods', 'random', '--seeds', '1'];
    const cut = await start(args, (child, out) => {
      if (out.includes('"kind":"step","step":3')) child.kill('SIGKILL');
    });
    expect(cut.code).toBeNull();
    await inStore((database) => {
      database.exec(
        "UPDATE events SET data = json_set(data, '$.reward', 7) WHERE kind = 'step' AND seq = 3",
      );
    });
    const { code, out } = await whetstone(...args);
    expect(code).toBe(0);
    const warnings = events(out).filter(({ kind }) => kind === 'warning');
    expect(warnings.map(({ message }) => message)).toEqual([
      expect.stringMatching(
        /^run .* step 2 comes out otherwise than it was recorded.* begins again$/,
      ),
    ]);
    const fresh = await whetstone(...args, '--fresh');
    const scoresOf = ({ seconds, ...row }: { seconds: number }) => row;
    expect(events(out).at(-1).rows.map(scoresOf)).toEqual(
      events(fresh.out).at(-1).rows.map(scoresOf),
    );
  });

  it('goes on after SIGKILL: finished cells are kept, the one cut off too', async () => {
    await configure();
    const killed = await start(GRID, (child, out) => {
      if (ran(out.slice(0, out.lastIndexOf('\n'))).length === 3) child.kill('SIGKILL');
    });
    expect(killed.code).toBeNull();
    const { code, out } = await whetstone(...GRID);
    expect(code).toBe(0);
    const grid = events(out).find(({ kind }) => kind === 'comparison');
    expect(grid.resumed).toBeGreaterThanOrEqual(2);
    expect(ran(out)).toHaveLength(4 - grid.resumed);
    const { runs } = events((await whetstone('runs', 'list', '--json')).out).at(-1);
    expect(runs).toHaveLength(4);
    expect(events(out).at(-1).rows).toMatchObject([{ seeds: [1, 2] }, { seeds: [1, 2] }]);
  });

  it('stops at Ctrl-C with 130 and says how to go on', async () => {
    await configure({ evaluations: 1_000_000 });
    const { code, out } = await start(GRID, (child, text) => {
      if (text.includes('"kind":"step","step":3') && !child.killed) child.kill('SIGINT');
    });
    expect(code).toBe(130);
    const warning = events(out).findLast(({ kind }) => kind === 'warning');
    expect(warning.message).toContain('the same command goes on from here');
    // Its first process made more than two steps, each is told once.
    const again = await start(GRID, (child, text) => {
      if (/"kind":"step","step":\d/.test(text) && !child.killed) child.kill('SIGINT');
    });
    const [next] = events(again.out).filter(({ kind }) => kind === 'step');
    expect(next.step).toBeGreaterThan(3);
  });

  it('says that data changed, and begins anew', async () => {
    await configure();
    await whetstone(...GRID);
    await writeFile(join(folder, 'data.csv'), dataOf(2));
    const { out } = await whetstone(...GRID);
    expect(ran(out)).toHaveLength(4);
    const warnings = events(out).filter(({ kind }) => kind === 'warning');
    expect(warnings.map(({ message }) => message).join()).toMatch(/data.csv.* changed since/);
  });
});

it('records a cell that fails and goes on with the rest', async () => {
  // The task's examples leave room for so long a prompt, the policy's context does not.
  await configure({ methods: { 'soft-q': { promptTokens: 40 } } });
  const args = GRID.map((arg) => (arg === 'manual,random' ? 'manual,soft-q' : arg));
  const { code, out } = await whetstone(...args);
  expect(code).toBe(0);
  const failed = events(out).filter(({ kind, state }) => kind === 'cell' && state === 'failed');
  expect(failed).toHaveLength(2);
  expect(failed[0].error).toContain('it reads at most 64');
  const result = events(out).at(-1);
  expect(result.rows).toMatchObject([{ seeds: [1, 2] }, { seeds: [], test: null }]);
  expect(result.pairs).toEqual([]);
  expect(await readFile(result.report.html, 'utf8')).toContain('Runs that failed');
  // Failures are kept, unless they are to be tried again.
  expect(ran((await whetstone(...args)).out)).toHaveLength(0);
  expect(ran((await whetstone(...args, '--retry-failed')).out)).toHaveLength(2);
});

it('reads the files that options name before anything is spent, and notices when they change', async () => {
  await configure({ methods: { manual: { promptsFile: 'prompts.txt' } } });
  const missing = await whetstone(...GRID);
  expect(missing.code).toBe(2);
  expect(missing.err).toMatch(/prompts\.txt: .*check method\.promptsFile/);
  expect(ran(missing.out)).toHaveLength(0);
  await writeFile(join(folder, 'prompts.txt'), 'wab wac\nwad\n');
  expect(ran((await whetstone(...GRID)).out)).toHaveLength(4);
  expect(ran((await whetstone(...GRID)).out)).toHaveLength(0);
  await writeFile(join(folder, 'prompts.txt'), 'wab wac\nwad wae\n');
  const { out } = await whetstone(...GRID);
  // The other method's cells are the same as before.
  expect(ran(out).map(({ method }: { method: string }) => method)).toEqual(['manual', 'manual']);
});

it('does a cell anew whose run was deleted', async () => {
  await configure({});
  const args = ['compare', 'w.yaml', '--json', '--methods', 'manual,random', '--seeds', '1'];
  const first = events((await whetstone(...args)).out).at(-1);
  const { run } = events((await whetstone('runs', 'show', 'last', '--json')).out).at(-1);
  expect((await whetstone('runs', 'delete', run.id, '--yes')).code).toBe(0);
  const { code, out } = await whetstone(...args);
  expect(code).toBe(0);
  expect(ran(out)).toHaveLength(1);
  const means = ({ rows }: typeof first) => rows.map(({ test }: { test: object }) => test);
  expect(means(events(out).at(-1))).toEqual(means(first));
});

it('takes splits for {split}, each a repetition with test examples of its own', async () => {
  for (const [i, split] of ['a', 'b'].entries()) {
    await mkdir(join(folder, split));
    await writeFile(join(folder, split, 'data.csv'), dataOf(10 + i));
  }
  await configure({ data: '{split}/data.csv' });
  const args = ['compare', 'w.yaml', '--json', '--methods', 'manual,random'];
  const planOf = async (splits: string) => {
    const { out } = await whetstone(...args, '--splits', splits, '--dry-run');
    return JSON.parse(out.trim().split('\n').at(-1)!);
  };
  const [one, both] = [await planOf('a'), await planOf('a,b')];
  expect(one).toMatchObject({ kind: 'plan', usd: 0 });
  expect(both.calls).toBe(2 * one.calls);
  expect(both.minutes).toBeCloseTo(2 * one.minutes, 9);
  const { out } = await whetstone(...args, '--splits', 'a,b');
  const grid = events(out).find(({ kind }) => kind === 'comparison');
  expect(grid.repetitions).toEqual([
    { seed: 1, split: 'a' },
    { seed: 1, split: 'b' },
  ]);
  expect(events(out).at(-1).rows).toMatchObject([{ seeds: [1, 1] }, { seeds: [1, 1] }]);
  expect(grid.task).toBe('data');
  const { code, err } = await whetstone(...args);
  expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('--splits') });
});

describe('refused before anything is spent', () => {
  it.each([
    [{}, ['--methods', 'manual,softq'], /there is no method "softq", known are .*soft-q/],
    [{}, ['--methods', 'manual,manual'], /manual stands twice/],
    [{}, ['--seeds', '0'], /number of seeds from 1/],
    [{}, ['--splits', 'a'], /no path of task.data holds \{split\}/],
    [
      { methods: { random: { tokens: 3 } } },
      [],
      /methods.random.tokens: unknown key; options of random are/,
    ],
    [{ evaluations: 40 }, ['--methods', 'random'], /too few for one step .* random 480/],
  ])('%j %j', async (setting, args, message) => {
    await configure(setting);
    const { code, out, err } = await whetstone('compare', 'w.yaml', ...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toMatch(message);
    const { runs } = events((await whetstone('runs', 'list', '--json')).out).at(-1);
    expect(runs).toEqual([]);
  });

  it('a masked LM that should write prompts', async () => {
    const masked = join(fixtures, 'models', 'bert');
    await configure();
    const set = [
      `taskLm=${masked}`,
      `policyLm=${masked}`,
      'task.template="{input} {prompt} {mask}"',
    ];
    const { code, err } = await whetstone(
      ...['compare', 'w.yaml', '--methods', 'manual,soft-q'],
      ...set.flatMap((one) => ['--set', one]),
    );
    expect(code).toBe(2);
    expect(err).toMatch(/method soft-q cannot be used here: .*methods that can: .*\bmanual\b/);
  });
});
