/** How the task LM of a finding is named by tools that ask models over HTTP. */

import { parseApiReference } from '../providers/reference.ts';
import { providers } from '../providers/registry.ts';
import { isRemote, nameOf } from '../runs/model-reference.ts';
import type { Finding } from './finding.ts';
import { redacted } from './redacted.ts';

export interface Server {
  /** "openai", or "local" where the model runs in this process and any server may serve it. */
  readonly provider: string;
  readonly model: string;
  /** What stands before /chat/completions. */
  readonly baseUrl: string;
  /** The variable that holds the key. */
  readonly keyVariable?: string;
}

/** Where servers of local models usually listen: llama.cpp's. */
const LOCAL = 'http://127.0.0.1:8080/v1';

export function serverOf({ config }: Finding): Server {
  const { taskLm } = config;
  if (!isRemote(taskLm)) {
    const model = nameOf(taskLm)
      .replace(/^(local|hf):/, '')
      .split(/[\\/]/)
      .at(-1)!;
    return { provider: 'local', model, baseUrl: LOCAL };
  }
  const { provider, model, baseUrl, apiKey } = parseApiReference(taskLm);
  const known = providers[provider]!;
  const keyVariable = apiKey?.replace(/^env:/, '') ?? known.keyVariables[0];
  return {
    provider,
    model,
    baseUrl: String(redacted(baseUrl ?? known.baseUrl ?? LOCAL)).replace(/\/+$/, ''),
    ...(keyVariable === undefined ? {} : { keyVariable }),
  };
}
