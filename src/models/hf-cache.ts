/**
 * The cache that Hugging Face's own libraries keep, read only:
 * `models--owner--name/refs/<revision>` names the folder `snapshots/<commit>`.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Environment, homeFolder } from '../util/data-folder.ts';
import { missingFromModelFolder } from './model-folder.ts';

/** The cache's folder by its own variables; it may not exist. */
export function hfCacheFolder(env: Environment): string {
  if (env.HF_HUB_CACHE) return env.HF_HUB_CACHE;
  if (env.HUGGINGFACE_HUB_CACHE) return env.HUGGINGFACE_HUB_CACHE;
  if (env.HF_HOME) return join(env.HF_HOME, 'hub');
  const cache = env.XDG_CACHE_HOME || join(homeFolder(env), '.cache');
  return join(cache, 'huggingface', 'hub');
}

/** The snapshot folder of a repository when it is there and complete enough to run. */
export async function findInHfCache(
  cache: string,
  repository: string,
  revision: string,
): Promise<string | undefined> {
  const folder = join(cache, `models--${repository.replaceAll('/', '--')}`);
  const ref = await readFile(join(folder, 'refs', revision), 'utf8').catch(() => revision);
  const commit = ref.trim();
  if (!/^[\w.-]{1,100}$/.test(commit) || commit.startsWith('.')) return undefined;
  const snapshot = join(folder, 'snapshots', commit);
  if (!existsSync(snapshot)) return undefined;
  return (await missingFromModelFolder(snapshot)) === undefined ? snapshot : undefined;
}
