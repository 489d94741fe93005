/**
 * One file over HTTP, whole or not at all: written to `<path>.part`, resumed by range after a cut
 * (also by a later process), checked against size and digest, then renamed. Leaves out mirrors and
 * parallel ranges.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { WeightsError } from '../errors.ts';
import { onDisk } from '../util/disk.ts';
import {
  bodyOf,
  type RequestOptions,
  Retryable,
  refuseStatus,
  request,
  retrying,
} from '../util/http.ts';
import { makeFolder } from '../util/make-folder.ts';
import type { OnProgress } from '../util/progress.ts';

/** What a file must hash to; `git-sha1` is the id of a git blob. */
export interface Digest {
  readonly algorithm: 'sha256' | 'git-sha1';
  readonly hex: string;
}

export interface DownloadOptions extends RequestOptions {
  readonly sizeBytes?: number | undefined;
  readonly digest?: Digest | undefined;
  /** What the person sees: "downloading smollm2-135m-instruct". */
  readonly phase: string;
  readonly onProgress?: OnProgress | undefined;
}

interface Transfer {
  readonly part: string;
  etag: string | undefined;
  have: number;
}

/**
 * Fetches `url` into the file `path`.
 * @throws NetworkError when the server cannot be reached or refuses
 * @throws WeightsError when what arrived is not what was announced
 * @throws StoreError when the disk is full or not writable
 */
export async function downloadFile(
  url: string,
  path: string,
  options: DownloadOptions,
): Promise<void> {
  const transfer = await openTransfer(path);
  let hadWrongDigest = false;
  await onDisk(path, async () => makeFolder(dirname(path)));
  for (;;) {
    await retrying(
      url,
      options,
      () => transfer.have,
      () => receive(url, transfer, options),
    );
    const problem = await digestProblem(transfer.part, options.digest);
    if (problem === undefined) break;
    await dropPart(transfer);
    if (hadWrongDigest) {
      throw new WeightsError(
        `${url}: the file arrived damaged twice: ${problem}; a proxy may be changing it`,
      );
    }
    hadWrongDigest = true;
  }
  await onDisk(path, () => rename(transfer.part, path));
  await rm(`${transfer.part}.json`, { force: true });
}

async function openTransfer(path: string): Promise<Transfer> {
  const part = `${path}.part`;
  const size = (await stat(part).catch(() => undefined))?.size ?? 0;
  const note = await readFile(`${part}.json`, 'utf8').catch(() => '');
  const etag = /^"[^"\n]{1,200}"$/.test(note) ? note : undefined;
  return { part, etag, have: etag === undefined ? 0 : size };
}

/** One request for what is still missing, appended to the part. */
async function receive(url: string, transfer: Transfer, options: DownloadOptions): Promise<void> {
  const { sizeBytes } = options;
  if (sizeBytes !== undefined && transfer.have > sizeBytes) transfer.have = 0;
  if (sizeBytes !== undefined && transfer.have === sizeBytes && transfer.have > 0) return;
  const headers: Record<string, string> = { 'accept-encoding': 'identity', ...options.headers };
  if (transfer.have > 0 && transfer.etag !== undefined) {
    headers.range = `bytes=${transfer.have}-`;
    headers['if-range'] = transfer.etag;
  }
  const response = await request(url, { ...options, headers });
  if (response.status === 416) {
    await response.body?.cancel();
    await dropPart(transfer);
    throw new Retryable('the server does not have the range that is missing');
  }
  refuseStatus(url, response);
  const total = await agreeOnStart(url, response, transfer, sizeBytes);
  await append(transfer, response, total, options);
  if (total !== undefined && transfer.have < total) {
    throw new Retryable(`the connection ended at ${transfer.have} of ${total} bytes`);
  }
  if (transfer.have === 0 && sizeBytes !== 0) throw new Retryable('the answer was empty');
}

/** Decides whether the answer goes on from the part or starts again; returns the full size. */
async function agreeOnStart(
  url: string,
  response: Response,
  transfer: Transfer,
  sizeBytes: number | undefined,
): Promise<number | undefined> {
  const etag = response.headers.get('etag') ?? undefined;
  const range = /^bytes (\d+)-\d+\/(\d+|\*)$/.exec(response.headers.get('content-range') ?? '');
  const isSame = etag === undefined || transfer.etag === undefined || etag === transfer.etag;
  if (response.status === 206 && (!isSame || Number(range?.[1] ?? -1) !== transfer.have)) {
    await response.body?.cancel();
    await dropPart(transfer);
    throw new Retryable('the file changed on the server, starting again');
  }
  if (response.status !== 206) transfer.have = 0;
  const length = Number(response.headers.get('content-length') ?? Number.NaN);
  const announced = Number.isNaN(length) ? undefined : transfer.have + length;
  if (sizeBytes !== undefined && announced !== undefined && announced !== sizeBytes) {
    await response.body?.cancel();
    if (announced === 0) throw new Retryable('the answer was empty');
    throw new WeightsError(
      `${url}: expected ${sizeBytes} bytes, the server announces ${announced}`,
    );
  }
  transfer.etag = etag?.startsWith('"') ? etag : undefined;
  const note = `${transfer.part}.json`;
  await onDisk(note, () =>
    transfer.etag === undefined ? rm(note, { force: true }) : writeFile(note, transfer.etag),
  );
  return sizeBytes ?? announced;
}

async function append(
  transfer: Transfer,
  response: Response,
  total: number | undefined,
  options: DownloadOptions,
): Promise<void> {
  const { part } = transfer;
  const handle = await onDisk(part, () => open(part, transfer.have > 0 ? 'r+' : 'w'));
  try {
    for await (const chunk of bodyOf(response, options)) {
      if (total !== undefined && transfer.have + chunk.length > total) {
        transfer.have = 0;
        throw new WeightsError(`${response.url}: more bytes arrive than the ${total} announced`);
      }
      await onDisk(part, () => handle.write(chunk, 0, chunk.length, transfer.have));
      transfer.have += chunk.length;
      options.onProgress?.({
        phase: options.phase,
        done: transfer.have,
        ...(total === undefined ? {} : { total }),
        unit: 'bytes',
      });
    }
    await onDisk(part, () => handle.sync());
  } finally {
    await handle.close();
  }
}

async function dropPart(transfer: Transfer): Promise<void> {
  transfer.have = 0;
  transfer.etag = undefined;
  await rm(transfer.part, { force: true });
  await rm(`${transfer.part}.json`, { force: true });
}

/** Says how a file differs from its digest; undefined when it does not. */
async function digestProblem(path: string, digest?: Digest): Promise<string | undefined> {
  if (digest === undefined) return undefined;
  const hash = createHash(digest.algorithm === 'sha256' ? 'sha256' : 'sha1');
  if (digest.algorithm === 'git-sha1') hash.update(`blob ${(await stat(path)).size}\0`);
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer);
  const got = hash.digest('hex');
  return got === digest.hex ? undefined : `${digest.algorithm} is ${got}, expected ${digest.hex}`;
}
