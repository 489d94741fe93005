/** Opens whatever holds weights: a GGUF file, a safetensors file or index, a Hugging Face folder. */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { WeightsError } from '../errors.ts';
import { openGguf } from './gguf.ts';
import { openSafetensors, openSafetensorsIndex } from './safetensors.ts';
import type { WeightFile } from './weight-file.ts';

/** @throws WeightsError when there is nothing sound to open */
export async function openWeights(path: string): Promise<WeightFile> {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats) throw new WeightsError(`${path}: no such model, check the path or the name`);
  if (stats.isDirectory()) {
    const single = join(path, 'model.safetensors');
    const index = `${single}.index.json`;
    if (existsSync(single)) return openSafetensors(single);
    if (existsSync(index)) return openSafetensorsIndex(index);
    throw new WeightsError(
      `${path}: expected model.safetensors or model.safetensors.index.json in this folder, found neither`,
    );
  }
  if (path.endsWith('.index.json')) return openSafetensorsIndex(path);
  return path.endsWith('.safetensors') ? openSafetensors(path) : openGguf(path);
}
