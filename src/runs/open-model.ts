/** From the name in a configuration to a language model that computes. */
import { join } from 'node:path';
import { ConfigError } from '../errors.ts';
import { LanguageModel } from '../models/language-model.ts';
import { modelFolder, resolveModel } from '../models/model-store.ts';
import { providers } from '../providers/index.ts';
import type { Engine } from '../tensor/index.ts';
import type { OnProgress } from '../util/progress.ts';
import { nearest } from '../util/suggest.ts';

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
  refuseMisspelt(name);
  const resolved = await resolveModel(name, options);
  return LanguageModel.open(resolved.weights ?? resolved.path, {
    engine,
    name: resolved.name,
    cacheFolder: join(modelFolder(), 'prepared'),
    ...(onProgress ? { onProgress } : {}),
  });
}

/** "opnai:gpt-4.1-mini" is no model of this process, and a list of those would not help. */
function refuseMisspelt(name: string): void {
  const [prefix, rest] = name.split(':', 2) as [string, string | undefined];
  if (rest === undefined || rest === '' || prefix.length < 3) return;
  const near = ['local', 'hf'].includes(prefix)
    ? undefined
    : nearest(prefix, Object.keys(providers));
  if (near === undefined) return;
  throw new ConfigError(
    `${name}: there is no provider ${prefix}, did you mean ${near}:${rest}? A model of this machine is local:NAME, a .gguf file, a model folder or hf:owner/name`,
  );
}
