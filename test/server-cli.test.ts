/** `whetstone studio` as a process: its line, its end, and what it says where it cannot begin. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { beforeEach, expect, it } from 'vitest';
import { sqliteDriver } from '../src/runs/sqlite.ts';
import { openStore } from '../src/runs/store.ts';
import { packageRoot } from '../src/util/package-root.ts';

const built = join(packageRoot(), 'dist', 'src', 'cli', 'main.js');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-studio-cli-'));
});

function start(args: readonly string[], home = join(folder, 'home')): ChildProcess {
  const env = { ...process.env, WHETSTONE_HOME: home, NO_COLOR: '1' };
  return spawn(process.execPath, [built, 'studio', ...args], { cwd: folder, env });
}

async function outcome(child: ChildProcess): Promise<{ code: number; err: string }> {
  let err = '';
  child.stderr!.on('data', (chunk) => {
    err += chunk;
  });
  const [code] = (await once(child, 'close')) as [number];
  return { code, err };
}

it.each([[[]], [['--json']]])(
  'prints one line with its address, and ends on a signal %j',
  async (more) => {
    const child = start(['--port', '0', '--no-open', ...more]);
    const lines: string[] = [];
    const reader = createInterface({ input: child.stdout! });
    reader.on('line', (line) => lines.push(line));
    await once(reader, 'line');
    const [url] = /http:\/\/127\.0\.0\.1:\d+\/launch\?token=[\w-]+/.exec(lines[0]!)!;
    if (more.length > 0) expect(JSON.parse(lines[0]!)).toMatchObject({ kind: 'result', url });
    const visit = await fetch(url, { redirect: 'manual' });
    expect(visit.status).toBe(303);
    const ended = outcome(child);
    child.kill('SIGTERM');
    expect(await ended).toMatchObject({ code: 130 });
    expect(lines).toHaveLength(1);
  },
);

it('says in one sentence that the port is in use', async () => {
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  const { code, err } = await outcome(start(['--port', String(port), '--no-open']));
  taken.close();
  expect(code).toBe(2);
  expect(err).toMatch(/^whetstone: port \d+: in use by another program, [^\n]*\n$/);
});

it('says in one sentence that a later version wrote the store', async () => {
  const store = await openStore(join(folder, 'home'));
  store.close();
  const database = (await sqliteDriver()).open(store.path);
  database.exec('PRAGMA user_version = 999');
  database.close();
  const { code, err } = await outcome(start(['--port', '0', '--no-open']));
  expect(code).toBe(1);
  expect(err).toMatch(/^whetstone: [^\n]*written by a later version of whetstone[^\n]*\n$/);
});

it('says in one sentence that its folder cannot be written or is none', async () => {
  const { code, err } = await outcome(start(['--no-open'], '/proc/whetstone'));
  expect(code).toBe(1);
  expect(err).toMatch(/^whetstone: [^\n]*cannot be written[^\n]*\n$/);
  await writeFile(join(folder, 'file'), '');
  const other = await outcome(start(['--no-open'], join(folder, 'file')));
  expect(other.err).toMatch(/^whetstone: [^\n]*expected a folder[^\n]*\n$/);
});
