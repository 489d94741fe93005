/**
 * How a configuration names a model behind an API: "openai:gpt-4o-mini", or an object with an address,
 * the name of the key's variable, limits and a price.
 */
import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { suggestion } from '../util/suggest.ts';
import { providers } from './registry.ts';
import { KEY_ADVICE, KEY_REFERENCE, placeOfKey, redactor } from './secrets.ts';

const dollars = z.number().nonnegative().max(1e6);

export const priceSchema = z.strictObject({
  input: dollars.describe('US dollars per million input tokens'),
  output: dollars.describe('US dollars per million output tokens'),
  cachedInput: dollars.optional().describe("Of input that the provider's own cache held"),
});

export const priceTableSchema = z.record(z.string(), priceSchema);

const count = z.int().positive();

export const apiModelSchema = z.strictObject({
  provider: z.enum(Object.keys(providers) as [string, ...string[]]).describe('Whose API it is'),
  model: z.string().min(1).describe("The model's name there"),
  baseUrl: z
    .string()
    .refine(
      isPlainUrl,
      'expected an http or https address without a user name or password, a key or "?" in it',
    )
    .optional()
    .describe('Address of the API, up to what comes before /chat/completions'),
  apiKey: z
    .string()
    .regex(KEY_REFERENCE, KEY_ADVICE)
    .optional()
    .describe('Where the key is: env:NAME'),
  concurrency: count.max(1024).optional().describe('Most requests under way'),
  requestsPerMinute: count.optional().describe('A limit that the server does not tell'),
  tokensPerMinute: count.optional().describe('A limit that the server does not tell'),
  timeoutSeconds: z.number().positive().max(3600).default(120).describe('For one whole answer'),
  contextLength: count.optional().describe('Most tokens of messages and answer together'),
  price: priceSchema.optional().describe('US dollars per million tokens'),
  options: z
    .record(z.string(), z.json())
    .default({})
    .superRefine((options, context) => {
      const place = placeOfKey(options);
      if (place === undefined) return;
      const message = `holds what looks like a key or a password, which would be recorded with the run; ${KEY_ADVICE}`;
      context.addIssue({ code: 'custom', path: place.split('.'), message });
    })
    .describe(
      "The provider's own options, as the AI SDK or the server names them; what is secret in them as env:NAME",
    ),
});

export type ApiModel = z.infer<typeof apiModelSchema>;
export type ApiModelInput = z.input<typeof apiModelSchema>;

/** What stands for a model behind an API in a configuration. */
export const apiReferenceSchema = z.union([z.string().min(1), apiModelSchema]);

/** True for a text that begins with a provider's name, and for an object that names one. */
export function isApiReference(reference: unknown): reference is string | ApiModelInput {
  if (typeof reference === 'object' && reference !== null) return 'provider' in reference;
  return typeof reference === 'string' && splitReference(reference) !== undefined;
}

/** @throws ConfigError when it names no provider, or says of one what cannot be meant */
export function parseApiReference(reference: string | ApiModelInput): ApiModel {
  const stated = typeof reference === 'string' ? splitReference(reference) : reference;
  if (stated === undefined) {
    const names = Object.keys(providers);
    const provider = String(reference).split(':', 1)[0]!;
    throw new ConfigError(
      `${JSON.stringify(reference)}: expected PROVIDER:MODEL with a provider among ${names.join(', ')}${suggestion(provider, names)}`,
    );
  }
  const parsed = apiModelSchema.safeParse(stated);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  const where = ['model', ...path].join('.');
  throw new ConfigError(`${where}: ${message}`);
}

function splitReference(text: string): { provider: string; model: string } | undefined {
  const at = text.indexOf(':');
  const provider = text.slice(0, Math.max(0, at));
  if (!Object.hasOwn(providers, provider)) return undefined;
  return { provider, model: text.slice(at + 1) };
}

function isPlainUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, pathname } = new URL(text);
  const isPlain = username === '' && password === '' && search === '';
  return /^https?:$/.test(protocol) && isPlain && redactor()(pathname) === pathname;
}
