/** How a configuration names a model, and what can be told from the name alone. */
import { z } from 'zod';

/** A key is named, never written down. */
const apiKey = z
  .string()
  .regex(/^env:[A-Za-z_][A-Za-z0-9_]*$/, 'expected env:NAME, the variable that holds the key')
  .describe('Where the key is: env:NAME');

const remoteModel = z
  .strictObject({
    provider: z
      .string()
      .min(1)
      .describe('openai, anthropic, google, mistral, openai-compatible, …'),
    model: z.string().min(1).describe('As the provider calls it'),
    baseUrl: z.url().optional().describe('Where the server is'),
    apiKey: apiKey.optional(),
  })
  .describe('A model behind an API');

export const modelReference = z
  .union([z.string().min(1), remoteModel])
  .describe(
    'A model: local:NAME, a .gguf file, a model folder, hf:owner/name, or one behind an API: openai:NAME, { provider, model, baseUrl, apiKey }',
  );

export type ModelReference = z.infer<typeof modelReference>;

const PROVIDERS = ['openai', 'anthropic', 'google', 'mistral', 'huggingface', 'aleph-alpha', 'openai-compatible']; // biome-ignore format: one list

/** True for a model behind an API, which answers in text alone. */
export function isRemote(reference: ModelReference): boolean {
  if (typeof reference !== 'string') return true;
  return PROVIDERS.some((provider) => reference.startsWith(`${provider}:`));
}

/** As reports name it. */
export function nameOf(reference: ModelReference): string {
  return typeof reference === 'string' ? reference : `${reference.provider}:${reference.model}`;
}
