/** The checks of `whetstone doctor`, one function each; a check that throws is a failed check. */
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { rm, statfs, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, availableParallelism, cpus, freemem, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { hfCacheFolder } from '../../models/hf-cache.ts';
import { DEFAULT_MODEL } from '../../models/model-registry.ts';
import { listModels, modelFolder } from '../../models/model-store.ts';
import { pipCommands } from '../../models/wheel.ts';
import { sqliteDriver } from '../../runs/sqlite.ts';
import { openStore, storeFolder } from '../../runs/store.ts';
import { formatBytes } from '../../util/format.ts';
import { makeFolder } from '../../util/make-folder.ts';
import { packageVersion } from '../program.ts';
import { instructionSets } from './instruction-sets.ts';

export interface Check {
  readonly name: string;
  readonly state: 'ok' | 'warn' | 'fail';
  readonly detail: string;
  /** How to mend it. */
  readonly mend?: string;
}

type Finding = Omit<Check, 'name'>;

const CHECKS: Readonly<Record<string, () => Finding | Promise<Finding>>> = {
  whetstone: () => ok(`${packageVersion()}, Node ${process.versions.node}`),
  system: () => ok(`${process.platform} ${release()}, ${arch()}`),
  processor: checkProcessor,
  'instruction sets': checkInstructionSets,
  memory: checkMemory,
  engine: checkEngine,
  sqlite: async () => ok(`${(await sqliteDriver()).name}, SQLite ${await sqliteVersion()}`),
  'store of runs': checkRuns,
  'store of models': () => checkFolder(modelFolder(), 'WHETSTONE_MODELS'),
  'default model': checkDefaultModel,
  'other models': checkOtherModels,
  'hugging face': () => ok(`cache ${hfCacheFolder(process.env)}`),
  pip: checkPip,
  'free disk': checkDisk,
};

/** Runs every check in turn. */
export async function* runChecks(): AsyncGenerator<Check> {
  for (const [name, check] of Object.entries(CHECKS)) {
    try {
      yield { name, ...(await check()) };
    } catch (error) {
      yield { name, state: 'fail', detail: (error as Error).message.split('\n')[0]! };
    }
  }
}

function ok(detail: string): Finding {
  return { state: 'ok', detail };
}

function checkProcessor(): Finding {
  const cores = availableParallelism();
  const detail = `${cpus()[0]?.model.trim() ?? 'unknown'}, ${cores} cores`;
  if (cores > 1) return ok(detail);
  return { state: 'warn', detail, mend: 'one core: expect a few prompts a second' };
}

function checkInstructionSets(): Finding {
  const sets = instructionSets();
  if (sets === undefined) return ok('not told by this system');
  const detail = sets.length > 0 ? sets.join(', ') : 'none of those that speed up matrix products';
  if (sets.some((set) => /avx2|avx512|dotprod/.test(set))) return ok(detail);
  return { state: 'warn', detail, mend: 'int8 will be slow: use precision.search=float32' };
}

function checkMemory(): Finding {
  const detail = `${formatBytes(freemem())} free of ${formatBytes(totalmem())}`;
  if (totalmem() >= 3e9) return ok(detail);
  return { state: 'warn', detail, mend: 'the default model wants 2 GB free' };
}

/** In a process of its own: a broken native library takes its process along. */
async function checkEngine(): Promise<Finding> {
  const resolve = createRequire(import.meta.url).resolve;
  const manifest = resolve('onnxruntime-node/package.json');
  const { version } = JSON.parse(readFileSync(manifest, 'utf8')) as { version: string };
  const code = `
    const ort = require(${JSON.stringify(resolve('onnxruntime-node'))});
    const all = ort.listSupportedBackends?.() ?? [];
    const names = all.map((b) => b.name + (b.bundled ? '' : ' (with its own libraries installed)'));
    console.log(names.join(', '));`;
  const { status, output } = await run(process.execPath, ['-e', code]);
  if (status === 0) return ok(`onnxruntime ${version}: ${output.trim() || 'cpu'}`);
  const why = output.split('\n').find((line) => /Error/.test(line)) ?? `exit ${status}`;
  return {
    state: 'fail',
    detail: `onnxruntime ${version} does not load: ${why.trim()}`,
    mend: 'run "npm ci" again; on Linux it needs glibc 2.28 or later (no Alpine)',
  };
}

async function sqliteVersion(): Promise<string> {
  const database = (await sqliteDriver()).open(':memory:');
  const row = database.prepare('SELECT sqlite_version() AS version').get() as { version: string };
  database.close();
  return row.version;
}

async function checkRuns(): Promise<Finding> {
  const finding = await checkFolder(storeFolder(), 'WHETSTONE_HOME');
  if (finding.state !== 'ok') return finding;
  const store = await openStore();
  const count = store.listRuns({ limit: 100_000 }).length;
  store.close();
  return ok(`${store.path}, ${count} run${count === 1 ? '' : 's'}`);
}

async function checkFolder(folder: string, variable: string): Promise<Finding> {
  const probe = join(folder, `.probe-${randomBytes(4).toString('hex')}`);
  try {
    makeFolder(folder, 0o700);
    await writeFile(probe, '');
    await rm(probe);
    return ok(folder);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const detail = `${folder} is not writable (${code})`;
    return { state: 'fail', detail, mend: `set ${variable} to a folder that is` };
  }
}

async function checkDefaultModel(): Promise<Finding> {
  const model = (await listModels()).find(({ name }) => name === DEFAULT_MODEL);
  if (model?.path !== undefined) return ok(`${DEFAULT_MODEL} at ${model.path}`);
  const mend = `whetstone models pull ${DEFAULT_MODEL} (the demo does it, too)`;
  return { state: 'warn', detail: `${DEFAULT_MODEL} is not here`, mend };
}

async function checkOtherModels(): Promise<Finding> {
  const models = await listModels();
  const here = models.filter(({ name, state }) => name !== DEFAULT_MODEL && state !== 'absent');
  return ok(here.length > 0 ? here.map(({ name }) => name).join(', ') : 'none');
}

async function checkPip(): Promise<Finding> {
  for (const [command, ...head] of pipCommands()) {
    const { status, output } = await run(command!, [...head, '--version']);
    const version = /^pip (\S+)/m.exec(output)?.[1];
    if (status === 0) return ok(`${[command, ...head].join(' ')}, ${version ?? '?'}`);
  }
  const mend = 'only needed where the Hugging Face hub cannot be reached: install Python with pip';
  return { state: 'warn', detail: 'no python with pip', mend };
}

async function checkDisk(): Promise<Finding> {
  const { bavail, bsize } = await statfs(modelFolder());
  const free = bavail * bsize;
  if (free >= 2e9) return ok(formatBytes(free));
  const mend = 'a model and its prepared weights want 1 to 2 GB; set WHETSTONE_MODELS elsewhere';
  return { state: 'warn', detail: formatBytes(free), mend };
}

function run(command: string, args: string[]): Promise<{ status: number; output: string }> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 20_000 });
    let output = '';
    const onText = (chunk: Buffer) => {
      output = (output + chunk.toString()).slice(0, 20_000);
    };
    child.stdout.on('data', onText);
    child.stderr.on('data', onText);
    child.on('error', (error) => resolve({ status: -1, output: error.message }));
    child.on('close', (code) => resolve({ status: code ?? -1, output }));
  });
}
