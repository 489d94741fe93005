/** The command line as a process: what scripts and people rely on. */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { configJsonSchema } from '../src/runs/config.ts';
import { demoFolder } from '../src/tasks/demo.ts';
import { packageRoot } from '../src/util/package-root.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-cli-'));
});

interface Outcome {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

function whetstone(...args: string[]): Promise<Outcome> {
  if (!existsSync(built)) throw new Error('build first: npm run build');
  const env = {
    ...process.env,
    WHETSTONE_HOME: join(folder, 'home'),
    WHETSTONE_MODELS: join(folder, 'home', 'models'),
    NO_COLOR: '1',
  };
  const child = spawn(process.execPath, [built, ...args], { cwd: folder, env });
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  child.stderr.on('data', (chunk) => {
    err += chunk;
  });
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

const lastLine = (text: string) => JSON.parse(text.trim().split('\n').at(-1) ?? '');

it('computes whatever the length of its arguments', async () => {
  const lm = join(packageRoot(), 'test', 'fixtures', 'models', 'llama');
  const long = 'very '.repeat(25_000);
  const args = ['models', 'score', lm, '--text', 'it was', '--top', '1', '--json'];
  const child = spawn(process.execPath, [`--title=${long}`, built, ...args], {
    env: { ...process.env, WHETSTONE_HOME: join(folder, 'home') },
  });
  let out = '';
  child.stdout.on('data', (chunk) => {
    out += chunk;
  });
  const code = await new Promise((resolve) => child.on('close', resolve));
  expect([code, lastLine(out).kind]).toEqual([0, 'result']);
});

describe('usage', () => {
  it('helps', async () => {
    const { code, out, err } = await whetstone('--help');
    expect({ code, err }).toEqual({ code: 0, err: '' });
    for (const name of ['demo', 'init', 'optimize', 'evaluate', 'models', 'runs', 'doctor']) {
      expect(out).toMatch(new RegExp(`^ {2}${name} `, 'm'));
    }
    expect(await whetstone()).toMatchObject({ code: 0, out });
  });

  it.each([
    [['optimise'], "whetstone: unknown command 'optimise' (Did you mean optimize?)"],
    [['optimize', '--minutes', '2'], 'option \'--minutes\'; see "whetstone optimize --help"'],
    [['models', 'lst'], "whetstone: unknown command 'lst' (Did you mean list?)"],
    [['runs', 'list', '--limt', '3'], "whetstone: unknown option '--limt' (Did you mean --limit?)"],
    [
      ['runs', 'list', '--limit', 'x'],
      'Expected a whole number from 1 to 100000; see "whetstone runs list --help"',
    ],
    [
      ['evaluate', '--prompt', 'p', '--split', 'tset'],
      'Allowed choices are train, validation, test; see "whetstone evaluate --help"',
    ],
    [
      ['optimize', 'none.yaml'],
      'whetstone: none.yaml: no such file; make one with "whetstone init"',
    ],
    [['optimize', '.'], 'whetstone: .: is a folder, expected a configuration file'],
  ])('%j is wrong usage', async (args, message) => {
    const { code, out, err } = await whetstone(...args);
    expect({ code, out }).toEqual({ code: 2, out: '' });
    expect(err).toContain(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('tells programs what is wrong, too', async () => {
    const { code, out } = await whetstone('runs', 'list', '--jsn', '--json');
    expect(code).toBe(2);
    expect(lastLine(out)).toMatchObject({ kind: 'error', code: 'usage' });
  });

  it('names the place of a mistake in the configuration', async () => {
    await writeFile(join(folder, 'w.yaml'), 'task:\n  data: a.csv\n  inptu: text\n');
    const { code, err } = await whetstone('optimize', 'w.yaml');
    expect(code).toBe(2);
    expect(err).toBe('whetstone: w.yaml:3:3: task.inptu: unknown key (did you mean input?)\n');
  });
});

describe('commands without a model', () => {
  it('runs list and show on a new machine', async () => {
    const list = await whetstone('runs', 'list', '--json');
    expect(list.code).toBe(0);
    expect(lastLine(list.out)).toMatchObject({ kind: 'result', runs: [] });
    expect(await whetstone('runs', 'show', 'last')).toMatchObject({ code: 1, out: '' });
  });

  it('models list', async () => {
    const { code, out } = await whetstone('models', 'list', '--json');
    expect(code).toBe(0);
    const names = lastLine(out).models.map((model: { name: string }) => model.name);
    expect(names).toContain('smollm2-135m-instruct');
  });

  it('a model that nobody knows', async () => {
    const { code, err } = await whetstone('models', 'pull', 'smollm2-135m-instrct');
    expect(code).toBe(2);
    expect(err).toContain('did you mean smollm2-135m-instruct?');
  });

  it('doctor checks the engine and the folders', async () => {
    const { code, out } = await whetstone('doctor', '--json');
    const checks = out
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(checks.find((check) => check.name === 'engine')).toMatchObject({ state: 'ok' });
    expect(checks.at(-1)).toMatchObject({ kind: 'result', isHealthy: true });
    expect(code).toBe(0);
  });

  it('is quiet when its reader goes away', async () => {
    const child = spawn(process.execPath, [built, 'schema'], { cwd: folder });
    let err = '';
    child.stderr.on('data', (chunk) => {
      err += chunk;
    });
    child.stdout.destroy();
    const code = await new Promise((resolve) => child.on('close', resolve));
    expect({ code, err }).toEqual({ code: 0, err: '' });
  });
});

describe('Ctrl-C', () => {
  it('ends a download cleanly, with exit code 130 and nothing half-written', async () => {
    const server = createServer(() => {}); // never answers
    await new Promise<void>((ready) => server.listen(0, '127.0.0.1', ready));
    const { port } = server.address() as AddressInfo;
    const child = spawn(process.execPath, [built, 'models', 'pull', 'hf:me/tiny', '--json'], {
      env: {
        ...process.env,
        WHETSTONE_HOME: join(folder, 'home'),
        WHETSTONE_MODELS: join(folder, 'home', 'models'),
        HF_ENDPOINT: `http://127.0.0.1:${port}`,
        HF_HOME: join(folder, 'hf'),
      },
    });
    let out = '';
    child.stdout.on('data', (chunk) => {
      out += chunk;
    });
    server.once('request', () => child.kill('SIGINT'));
    const code = await new Promise((resolve) => child.on('close', resolve));
    server.closeAllConnections();
    server.close();
    expect(code).toBe(130);
    expect(lastLine(out)).toEqual({ kind: 'error', code: 'interrupted', message: 'interrupted' });
    expect(await readdir(join(folder, 'home', 'models'))).toEqual([]);
  });
});

describe('Ctrl-C twice', () => {
  it('ends a run at once, without a word from the native library, and the run is there', async () => {
    const lm = join(packageRoot(), 'test', 'fixtures', 'models', 'llama');
    const rows = Array.from(
      { length: 400 },
      (_, i) => `w${i % 90} w${(i * 7) % 89} w${i % 83},${i % 2}`,
    );
    await writeFile(join(folder, 'data.csv'), `text,label\n${rows.join('\n')}\n`);
    const task = { data: 'data.csv', labels: { 0: 'w1', 1: 'w2' } };
    const method = { name: 'random', batchSize: 256, examplesPerStep: 400 };
    await writeFile(
      join(folder, 'w.yaml'),
      JSON.stringify({ task, taskLm: lm, policyLm: lm, method, budget: { minutes: 1 } }),
    );
    const env = {
      ...process.env,
      WHETSTONE_HOME: join(folder, 'home'),
      WHETSTONE_MODELS: join(folder, 'home', 'models'),
    };
    const child = spawn(process.execPath, [built, 'optimize', 'w.yaml', '--json'], {
      cwd: folder,
      env,
    });
    let err = '';
    let isSent = false;
    child.stderr.on('data', (chunk) => {
      err += chunk;
      if (err.includes('press Ctrl-C again')) child.kill('SIGINT');
    });
    child.stdout.on('data', (chunk) => {
      if (!isSent && String(chunk).includes('"kind":"step"')) isSent = child.kill('SIGINT');
    });
    const signal = await new Promise((resolve) => child.on('close', (_, by) => resolve(by)));
    expect(signal).toBe('SIGINT'); // a shell calls that 130
    expect(err.trim()).toBe(
      'stopping when what is in hand is done; press Ctrl-C again to stop at once',
    );
    const { out } = await whetstone('runs', 'list', '--json');
    expect(lastLine(out).runs).toMatchObject([{ state: 'interrupted' }]);
  });
});

describe.skipIf(!existsSync(demoFolder()))('init (needs assets/demo)', () => {
  it('writes a configuration that holds, and overwrites nothing unasked', async () => {
    expect(await whetstone('init')).toMatchObject({ code: 0, err: '' });
    const again = await whetstone('init');
    expect(again.code).toBe(2);
    expect(again.err).toBe('whetstone: whetstone.yaml: is there already; --force overwrites it\n');
    expect(await whetstone('init', '--force')).toMatchObject({ code: 0 });
    const { loadConfig } = await import('../src/runs/config.ts');
    const { config } = await loadConfig(join(folder, 'whetstone.yaml'));
    expect(config).toMatchObject({
      task: { data: 'reviews.csv' },
      method: { name: 'policy-gradient' },
    });
    const { loadTask } = await import('../src/tasks/index.ts');
    const task = await loadTask(config.task, { baseFolder: folder, seed: 1 });
    expect(task.classes.map(({ word }) => word).sort()).toEqual(['negative', 'positive']);
    expect(task.train.length).toBeGreaterThan(50);
  });

  it('leaves no half of it where the other cannot be written', async () => {
    await mkdir(join(folder, 'whetstone.yaml'));
    const { code, err } = await whetstone('init', '--force');
    expect({ code, err }).toEqual({
      code: 1,
      err: expect.stringMatching(/^whetstone: \.: cannot be written \(E[A-Z]+\)\n$/),
    });
    expect(await readdir(folder)).toEqual(['whetstone.yaml']);
  });
});

it('the JSON Schema for editors is the schema of today', async () => {
  const asset = join(packageRoot(), 'assets', 'whetstone.schema.json');
  const written = JSON.parse(await readFile(asset, 'utf8'));
  // On a difference: npx tsx src/cli/main.ts schema > assets/whetstone.schema.json
  expect(written).toEqual(JSON.parse(JSON.stringify(configJsonSchema())));
});
