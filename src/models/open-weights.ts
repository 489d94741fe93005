/**
 * Opens whatever holds weights: a GGUF file, a safetensors file or its index, a Hugging Face folder.
 * A file is known by how it begins, not by how it is called.
 */
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightsError } from '../errors.ts';
import { FileReader } from './file-reader.ts';
import { openGguf } from './gguf.ts';
import { openSafetensors, openSafetensorsIndex } from './safetensors.ts';
import type { WeightFile } from './weight-file.ts';

/** @throws WeightsError when there is nothing sound to open */
export async function openWeights(path: string): Promise<WeightFile> {
  const stats = await stat(path).catch((cause: NodeJS.ErrnoException) => {
    const reason = cause.code === 'ENOENT' ? 'no such model' : `cannot be read (${cause.code})`;
    throw new WeightsError(`${path}: ${reason}, check the path or the name`, { cause });
  });
  return stats.isDirectory() ? openFolder(path) : openFile(path);
}

async function openFile(path: string): Promise<WeightFile> {
  const kind = await sniff(path);
  if (kind === 'gguf') return openGguf(path);
  if (kind === 'safetensors') return openSafetensors(path);
  if (kind === 'json') return openSafetensorsIndex(path);
  const hint = kind === 'pickle' ? ', it is a PyTorch pickle; take the safetensors version' : '';
  throw new WeightsError(`${path}: expected a GGUF or safetensors file or index${hint}`);
}

/** Prefers what transformers prefers: the single file, then the shards; then a GGUF that is alone. */
async function openFolder(folder: string): Promise<WeightFile> {
  const names = await readdir(folder);
  const single = 'model.safetensors';
  if (names.includes(single)) return openSafetensors(join(folder, single));
  const index = `${single}.index.json`;
  if (names.includes(index)) return openSafetensorsIndex(join(folder, index));
  const ggufs = names.filter((name) => name.endsWith('.gguf'));
  if (ggufs.length === 1) return openGguf(join(folder, ggufs[0]!));
  const found =
    ggufs.length > 1
      ? `found ${ggufs.length} GGUF files; name one of them`
      : names.some((name) => name.startsWith('pytorch_model'))
        ? 'found a PyTorch pickle only; take the safetensors version'
        : 'found none of them';
  throw new WeightsError(`${folder}: expected ${single}, ${index} or one .gguf file, ${found}`);
}

async function sniff(
  path: string,
): Promise<'gguf' | 'safetensors' | 'json' | 'pickle' | undefined> {
  const file = await FileReader.open(path);
  try {
    const start = Buffer.from(await file.read(0, Math.min(9, file.size))).toString('latin1');
    if (start.startsWith('GGUF')) return 'gguf';
    if (path.endsWith('.json')) return 'json';
    if (start[8] === '{') return 'safetensors';
    if (start.startsWith('PK') || start.startsWith('\x80')) return 'pickle';
    if (start.trimStart().startsWith('{')) return 'json';
    // Damaged ones: their reader says what is wrong.
    if (path.endsWith('.gguf')) return 'gguf';
    return path.endsWith('.safetensors') ? 'safetensors' : undefined;
  } finally {
    await file.close();
  }
}
