/**
 * A model repository of the Hugging Face hub, downloaded into a folder: only the files that a model
 * needs to run, each checked against the digest in the hub's listing of one commit.
 */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { NetworkError, WeightsError } from '../errors.ts';
import type { Environment } from '../util/data-folder.ts';
import { homeFolder } from '../util/data-folder.ts';
import { fetchJson, type HttpLimits } from '../util/http.ts';
import type { OnProgress } from '../util/progress.ts';
import { type Digest, downloadFile } from './download.ts';
import type { HubSource } from './model-registry.ts';

const PUBLIC_HUB = 'https://huggingface.co';

/** Everything besides the weights that a loader may read. */
const SMALL_FILES = new Set([
  'config.json',
  'generation_config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'added_tokens.json',
  'vocab.json',
  'vocab.txt',
  'merges.txt',
  'chat_template.jinja',
  'LICENSE',
]);

export interface HubFile {
  readonly name: string;
  readonly sizeBytes: number | undefined;
  readonly digest: Digest | undefined;
}

export interface HubOptions {
  readonly env: Environment;
  readonly phase: string;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  readonly limits?: HttpLimits | undefined;
}

const listingSchema = z.object({
  sha: z.string().regex(/^[0-9a-f]{40}$/),
  siblings: z
    .array(
      z.object({
        rfilename: z.string().max(500),
        size: z.number().int().nonnegative().nullish(),
        blobId: z.string().nullish(),
        lfs: z.object({ sha256: z.string(), size: z.number().int().nonnegative() }).nullish(),
      }),
    )
    .max(20_000),
});

/**
 * Downloads what `source` needs into `folder` and returns the files with the commit they are of.
 * @throws NetworkError when the hub cannot be reached or refuses
 * @throws WeightsError when the repository holds no weights that we can run
 */
export async function downloadFromHub(
  source: HubSource,
  folder: string,
  options: HubOptions,
): Promise<{ commit: string; files: HubFile[] }> {
  const base = hubEndpoint(options.env);
  const token = await hubToken(options.env);
  const wait = { done: 0, unit: 'bytes', phase: options.phase };
  const common = {
    token,
    signal: options.signal,
    limits: options.limits,
    onWait: (reason: string) => options.onProgress?.({ ...wait, waitingFor: reason }),
  };
  const listing = `${base}/api/models/${source.repository}/revision/${encodeURIComponent(source.revision)}?blobs=true`;
  const answer = listingSchema.safeParse(await fetchJson(listing, common));
  if (!answer.success) throw new NetworkError(`${listing}: the answer is not a model's listing`);
  const files = neededFiles(answer.data.siblings.map(toHubFile), source.repository);
  const total = files.reduce((sum, file) => sum + (file.sizeBytes ?? 0), 0);
  let before = 0;
  for (const file of files) {
    await downloadFile(
      `${base}/${source.repository}/resolve/${answer.data.sha}/${encodeURIComponent(file.name)}`,
      join(folder, file.name),
      {
        ...common,
        phase: options.phase,
        sizeBytes: file.sizeBytes,
        digest: file.digest,
        onProgress: ({ done }) =>
          options.onProgress?.({ phase: options.phase, done: before + done, total, unit: 'bytes' }),
      },
    );
    before += file.sizeBytes ?? 0;
  }
  return { commit: answer.data.sha, files };
}

/** Where the hub is: HF_ENDPOINT or the public one. */
export function hubEndpoint(env: Environment): string {
  return (env.HF_ENDPOINT || PUBLIC_HUB).replace(/\/+$/, '');
}

async function hubToken(env: Environment): Promise<string | undefined> {
  if (env.HF_TOKEN) return env.HF_TOKEN;
  const cache = env.XDG_CACHE_HOME || join(homeFolder(env), '.cache');
  const path = env.HF_TOKEN_PATH || join(env.HF_HOME || join(cache, 'huggingface'), 'token');
  return (await readFile(path, 'utf8').catch(() => '')).trim() || undefined;
}

function toHubFile(sibling: z.infer<typeof listingSchema>['siblings'][number]): HubFile {
  const { lfs, blobId } = sibling;
  let digest: Digest | undefined;
  if (lfs && /^[0-9a-f]{64}$/.test(lfs.sha256)) digest = { algorithm: 'sha256', hex: lfs.sha256 };
  else if (!lfs && blobId && /^[0-9a-f]{40}$/.test(blobId)) {
    digest = { algorithm: 'git-sha1', hex: blobId };
  }
  return { name: sibling.rfilename, sizeBytes: lfs?.size ?? sibling.size ?? undefined, digest };
}

/** One file of weights, or else its shards; the small files first, so that failures come early. */
function neededFiles(files: readonly HubFile[], repository: string): HubFile[] {
  const top = files.filter((file) => basename(file.name) === file.name);
  const small = top.filter((file) => SMALL_FILES.has(file.name));
  const single = top.filter((file) => file.name === 'model.safetensors');
  const shards = top.filter((file) =>
    /^model(-\d+-of-\d+\.safetensors|\.safetensors\.index\.json)$/.test(file.name),
  );
  const weights = single.length > 0 ? single : shards;
  if (weights.length === 0) {
    throw new WeightsError(
      `${repository}: the repository has no model.safetensors, pick one that does or convert it`,
    );
  }
  if (!small.some((file) => file.name === 'config.json')) {
    throw new WeightsError(`${repository}: the repository has no config.json`);
  }
  return [...small, ...weights];
}
