/** How a configuration names a model, and what can be told from the name alone. */
import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { type ApiModelInput, apiModelSchema, isApiReference } from '../providers/index.ts';

export const modelReference = z
  .union([z.string().min(1), apiModelSchema])
  .describe(
    'A model: local:NAME, a .gguf file, a model folder, hf:owner/name, or one behind an API: PROVIDER:NAME or { provider, model, baseUrl, apiKey }',
  );

export type ModelReference = string | ApiModelInput;

/** True for a model behind an API, which answers in text alone. */
export function isRemote(reference: ModelReference): boolean {
  return isApiReference(reference);
}

/** As reports name it. */
export function nameOf(reference: ModelReference): string {
  return typeof reference === 'string' ? reference : `${reference.provider}:${reference.model}`;
}

/** @throws ConfigError for a model behind an API, whose logits nobody can read */
export function localName(reference: ModelReference, place: string): string {
  if (typeof reference === 'string' && !isRemote(reference)) return reference;
  throw new ConfigError(
    `${place}: ${nameOf(reference)} answers in text alone, here a model is needed whose logits can be read: local:NAME, a .gguf file, a model folder, or hf:owner/name`,
  );
}
