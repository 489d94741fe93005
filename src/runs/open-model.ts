/** From the name in a configuration to a language model that computes. */
import { join } from 'node:path';
import { LanguageModel } from '../models/language-model.ts';
import { modelFolder, resolveModel } from '../models/model-store.ts';
import type { Engine } from '../tensor/index.ts';
import type { OnProgress } from '../util/progress.ts';

export interface OpenModelOptions {
  readonly engine: Engine;
  /** What a relative path is relative to. @default the working directory */
  readonly base?: string | undefined;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Finds or downloads the model and opens it; its prepared weights are kept beside the store.
 * @throws ConfigError, NetworkError or WeightsError as `resolveModel` and `LanguageModel.open` do
 */
export async function openModel(name: string, options: OpenModelOptions): Promise<LanguageModel> {
  const { engine, onProgress } = options;
  const resolved = await resolveModel(name, options);
  return LanguageModel.open(resolved.weights ?? resolved.path, {
    engine,
    name: resolved.name,
    cacheFolder: join(modelFolder(), 'prepared'),
    ...(onProgress ? { onProgress } : {}),
  });
}
