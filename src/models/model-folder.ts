/** What makes a folder a model: Hugging Face's layout with config, tokenizer and safetensors. */
import { existsSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';

/** The first thing that a folder lacks to be a model, or undefined when it is whole. */
export async function missingFromModelFolder(folder: string): Promise<string | undefined> {
  for (const name of ['config.json', 'tokenizer.json']) {
    if (!existsSync(join(folder, name))) return name;
  }
  if (existsSync(join(folder, 'model.safetensors'))) return undefined;
  const index = join(folder, 'model.safetensors.index.json');
  if (!existsSync(index)) return 'model.safetensors';
  const shards = shardsOf(await readFile(index, 'utf8'));
  if (shards === undefined) return 'a readable model.safetensors.index.json';
  return shards.find((shard) => !existsSync(join(folder, shard)));
}

/** Names of the shards in an index; undefined when it is not one or names files elsewhere. */
export function shardsOf(indexJson: string): string[] | undefined {
  try {
    const map = (JSON.parse(indexJson) as { weight_map?: unknown }).weight_map;
    if (map === null || typeof map !== 'object') return undefined;
    const names = [...new Set(Object.values(map as object))];
    const isPlain = (n: unknown): n is string => typeof n === 'string' && basename(n) === n;
    return names.length > 0 && names.every(isPlain) ? names : undefined;
  } catch {
    return undefined;
  }
}

/** Bytes of the named files together; what is missing counts nothing. */
export async function totalBytes(paths: readonly string[]): Promise<number> {
  const sizes = await Promise.all(
    paths.map((path) =>
      stat(path).then(
        (s) => s.size,
        () => 0,
      ),
    ),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}
