import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { ConfigError, NetworkError, StoreError, WeightsError } from '../errors.ts';
import { defaultLimits } from '../util/http.ts';
import { listModels, resolveModel } from './model-store.ts';

const WEIGHTS = Buffer.from(Array.from({ length: 200_000 }, (_, i) => (i * 7919) % 251));
const SHA256 = createHash('sha256').update(WEIGHTS).digest('hex');
const COMMIT = 'a'.repeat(40);
const limits = { ...defaultLimits, backoffMs: 5, idleMs: 500 };

type Handler = (request: IncomingMessage, response: ServerResponse, count: number) => void;

let server: Server;
let endpoint: string;
let home: string;
let requests: IncomingMessage[];
/** Answers requests for the weights; everything else is a well-behaved hub. */
let weights: Handler;

beforeEach(async () => {
  requests = [];
  weights = (request, response) => sendRange(request, response, WEIGHTS, '"v1"');
  server = createServer((request, response) => {
    requests.push(request);
    const url = request.url ?? '';
    if (url.startsWith('/api/')) return response.end(JSON.stringify(listing()));
    if (!url.endsWith('.safetensors')) return response.end('{}');
    const count = requests.filter((r) => r.url?.endsWith('.safetensors')).length;
    return weights(request, response, count);
  });
  endpoint = await listen(server);
  home = await mkdtemp(join(tmpdir(), 'whetstone-store-'));
});
afterEach(() => {
  server.closeAllConnections();
  return new Promise((done) => server.close(done));
});

const env = () => ({ WHETSTONE_HOME: home, HF_ENDPOINT: endpoint, HF_HOME: join(home, 'hf') });
const pull = (more = {}) => resolveModel('hf:me/tiny', { env: env(), limits, ...more });
const folder = () => join(home, 'models', 'hf--me--tiny');
const part = () => join(`${folder()}.hub.part`, 'model.safetensors.part');

describe('download from the hub', () => {
  it('fetches what a model needs, and only once', async () => {
    const seen: number[] = [];
    const first = await pull({ onProgress: (p: { done: number }) => seen.push(p.done) });
    expect(first).toMatchObject({ kind: 'folder', origin: 'store', sha256: SHA256 });
    expect(WEIGHTS.equals(await readFile(join(first.path, 'model.safetensors')))).toBe(true);
    expect(existsSync(join(first.path, 'flax_model.msgpack'))).toBe(false);
    expect(Math.max(...seen)).toBe(WEIGHTS.length + 4);
    const before = requests.length;
    expect(await pull()).toEqual(first);
    expect(requests.length).toBe(before);
  });

  it('goes on from where a connection was cut', async () => {
    weights = (request, response, count) =>
      count === 1 ? sendCut(response, 120_000) : sendRange(request, response, WEIGHTS, '"v1"');
    const { path } = await pull();
    expect(WEIGHTS.equals(await readFile(join(path, 'model.safetensors')))).toBe(true);
    expect(requests.at(-1)?.headers.range).toMatch(/^bytes=[1-9]\d*-$/);
  });

  it('goes on from where an earlier process stopped', async () => {
    weights = (_request, response) => sendCut(response, 120_000);
    await expect(pull({ limits: { ...limits, attempts: 1 } })).rejects.toThrow(NetworkError);
    expect(existsSync(part())).toBe(true);
    weights = (request, response) => sendRange(request, response, WEIGHTS, '"v1"');
    const { path } = await pull();
    expect(requests.at(-1)?.headers.range).toMatch(/^bytes=[1-9]\d*-$/);
    expect(WEIGHTS.equals(await readFile(join(path, 'model.safetensors')))).toBe(true);
  });

  it('starts again when the file changed meanwhile', async () => {
    weights = (request, response, count) =>
      count === 1
        ? sendCut(response, 120_000, '"v0"')
        : sendRange(request, response, WEIGHTS, '"v1"');
    const { path } = await pull();
    expect(WEIGHTS.equals(await readFile(join(path, 'model.safetensors')))).toBe(true);
  });

  it('refuses a file with another digest and leaves no model behind', async () => {
    const other = Buffer.from(WEIGHTS).fill(0, 5, 6);
    weights = (request, response) => sendRange(request, response, other, '"v1"');
    await expect(pull()).rejects.toThrow(/damaged twice: sha256 is .* expected/);
    await expect(pull()).rejects.toThrow(WeightsError);
    expect(existsSync(folder())).toBe(false);
    expect(existsSync(part())).toBe(false);
  });

  it('gives up on an answer without bytes', async () => {
    weights = (_request, response) => response.end();
    await expect(pull()).rejects.toThrow(/empty, gave up after 4 attempts/);
  });

  it('says that a model is not there', async () => {
    weights = (_request, response) => response.writeHead(404).end();
    await expect(pull()).rejects.toThrow(/not found \(404\)/);
  });

  it('waits as long as the server asks', async () => {
    const reasons: (string | undefined)[] = [];
    weights = (request, response, count) =>
      count === 1
        ? response.writeHead(429, { 'retry-after': '1' }).end()
        : sendRange(request, response, WEIGHTS, '"v1"');
    await pull({ onProgress: (p: { waitingFor?: string }) => reasons.push(p.waitingFor) });
    expect(reasons).toContain('the server answered 429, next try in 1 s');
  });

  it('does not wait an hour', async () => {
    weights = (_request, response) => response.writeHead(503, { 'retry-after': '3600' }).end();
    await expect(pull()).rejects.toThrow(/answered 503/);
  });

  it.runIf(existsSync('/dev/full'))('says that the disk is full (needs /dev/full)', async () => {
    await mkdir(`${folder()}.hub.part`, { recursive: true });
    await symlink('/dev/full', part());
    await expect(pull()).rejects.toThrow(/disk is full/);
    await expect(pull()).rejects.toThrow(StoreError);
  });

  it('ends at once when cancelled', async () => {
    const stop = new AbortController();
    weights = (_request, response) => {
      response.writeHead(200, { 'content-length': WEIGHTS.length, etag: '"v1"' });
      response.write(WEIGHTS.subarray(0, 1000));
      setTimeout(() => stop.abort(), 20);
    };
    await expect(pull({ signal: stop.signal })).rejects.toMatchObject({ name: 'AbortError' });
  });

  it('keeps the token from the host that a redirect leads to', async () => {
    const tokens: (string | undefined)[] = [];
    const other = createServer((request, response) => {
      tokens.push(request.headers.authorization);
      sendRange(request, response, WEIGHTS, '"v1"');
    });
    const elsewhere = await listen(other);
    weights = (request, response) => {
      tokens.push(request.headers.authorization);
      response.writeHead(302, { location: `${elsewhere}/blob` }).end();
    };
    await pull({ env: { ...env(), HF_TOKEN: 'secret' } });
    other.close();
    expect(tokens).toEqual(['Bearer secret', undefined]);
  });

  it('lets two callers share one download', async () => {
    const [a, b] = await Promise.all([pull(), pull()]);
    expect(a).toEqual(b);
    expect(requests.filter((r) => r.url?.endsWith('.safetensors')).length).toBe(1);
    expect(await readdir(join(home, 'models'))).toEqual(['hf--me--tiny']);
  });
});

describe('names', () => {
  it('finds a snapshot in the Hugging Face cache', async () => {
    const base = join(home, 'hf', 'hub', 'models--me--tiny');
    await mkdir(join(base, 'refs'), { recursive: true });
    await writeFile(join(base, 'refs', 'main'), COMMIT);
    await mkdir(join(base, 'snapshots', COMMIT), { recursive: true });
    for (const name of ['config.json', 'tokenizer.json']) {
      await writeFile(join(base, 'snapshots', COMMIT, name), '{}');
    }
    await expect(pull({ offline: true })).rejects.toThrow(NetworkError);
    await writeFile(join(base, 'snapshots', COMMIT, 'model.safetensors'), '');
    expect(await pull({ offline: true })).toMatchObject({ origin: 'hf-cache' });
  });

  it('takes a GGUF file, a folder and a safetensors file by path', async () => {
    const model = join(home, 'model');
    await mkdir(model);
    await writeFile(join(model, 'm.gguf'), '');
    await writeFile(join(model, 'a.safetensors'), '');
    expect(await resolveModel(join(model, 'm.gguf'))).toMatchObject({ kind: 'gguf' });
    await expect(resolveModel(model)).rejects.toThrow(/expected config.json/);
    await writeFile(join(model, 'config.json'), '{}');
    await writeFile(join(model, 'tokenizer.json'), '{}');
    const single = await resolveModel(join(model, 'a.safetensors'));
    expect(single).toMatchObject({
      kind: 'folder',
      path: model,
      weights: join(model, 'a.safetensors'),
    });
  });

  it.each([
    ['smollm2-135m-instrukt', /did you mean smollm2-135m-instruct/],
    ['hf:justone', /expected hf:owner\/name/],
    ['hf:../../etc', /expected hf:owner\/name/],
  ])('refuses %s', async (name, message) => {
    await expect(resolveModel(name, { env: env() })).rejects.toThrow(message);
    await expect(resolveModel(name, { env: env() })).rejects.toThrow(ConfigError);
  });

  it('says that a path does not exist, where it was looked for, and what was expected', async () => {
    await expect(resolveModel('./nothing.gguf', { base: '/data' })).rejects.toThrow(
      `./nothing.gguf: no such file or folder, expected a .gguf file or a Hugging Face folder at ${resolve('/data', 'nothing.gguf')}`,
    );
  });

  it('lists known models and what was pulled besides', async () => {
    await pull();
    const models = await listModels(env());
    expect(models.find((m) => m.name === 'hf:me/tiny')).toMatchObject({ state: 'store' });
    expect(models.find((m) => m.name === 'gpt2')).toMatchObject({ state: 'absent' });
  });
});

function listing() {
  const small = (rfilename: string) => ({
    rfilename,
    size: 2,
    blobId: createHash('sha1').update('blob 2\0{}').digest('hex'),
  });
  const lfs = { sha256: SHA256, size: WEIGHTS.length };
  const other = { rfilename: 'flax_model.msgpack', size: 9, blobId: 'b'.repeat(40) };
  const siblings = [small('config.json'), small('tokenizer.json'), other];
  return { sha: COMMIT, siblings: [...siblings, { rfilename: 'model.safetensors', lfs }] };
}

function sendRange(request: IncomingMessage, response: ServerResponse, data: Buffer, etag: string) {
  const start = Number(/^bytes=(\d+)-/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const isPart = start > 0 && request.headers['if-range'] === etag;
  const from = isPart ? start : 0;
  response.writeHead(isPart ? 206 : 200, {
    etag,
    'content-length': data.length - from,
    ...(isPart ? { 'content-range': `bytes ${from}-${data.length - 1}/${data.length}` } : {}),
  });
  response.end(data.subarray(from));
}

/** Announces everything, sends `bytes` of it and drops the connection. */
function sendCut(response: ServerResponse, bytes: number, etag = '"v1"') {
  response.writeHead(200, { 'content-length': WEIGHTS.length, etag });
  response.write(WEIGHTS.subarray(0, bytes), () => setTimeout(() => response.destroy(), 20));
}

async function listen(listening: Server): Promise<string> {
  await new Promise<void>((ready) => listening.listen(0, '127.0.0.1', ready));
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}`;
}
