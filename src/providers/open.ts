/** From a reference in a configuration to a model behind an API. */
import { ConfigError } from '../errors.ts';
import type { Environment } from '../util/data-folder.ts';
import { sha256, sha256Json } from '../util/hash.ts';
import { type ApiLm, answerAll } from './api-model.ts';
import type { Attempt, Line } from './attempt.ts';
import type { Ledger, Role } from './ledger.ts';
import { defaultPatience, type Patience } from './patience.ts';
import { FREE, PRICES_AS_OF, type Price, type PriceTable, priceOf } from './prices.ts';
import type { Provider, ProviderOptions } from './provider.ts';
import { type ApiModel, type ApiModelInput, parseApiReference } from './reference.ts';
import { providers } from './registry.ts';
import { memoryCache, type Outcomes, type ResponseCache } from './response-cache.ts';
import { Scheduler } from './scheduler.ts';
import { type Key, readKey, redactor, withKeys } from './secrets.ts';
import type { TextModel } from './text-model.ts';
import { createSender, sendByFetch } from './transport.ts';

export interface OpenTextModelOptions {
  /** Where keys are looked up. */
  readonly env: Environment;
  /** Shared by all models of a run: its caps are over all of them together. */
  readonly ledger: Ledger;
  /** What the model is used as. @default 'task' */
  readonly role?: Role;
  /** @default one in memory, of this model alone */
  readonly cache?: ResponseCache | undefined;
  /** What came of questions in an earlier part of the run, and where it is kept. */
  readonly outcomes?: Outcomes | undefined;
  /** Prices that stand above the known ones, by "provider:model". */
  readonly prices?: PriceTable | undefined;
  readonly patience?: Partial<Patience>;
  /** In place of our own transport. */
  readonly fetch?: typeof globalThis.fetch;
}

/** Of this process, by server, key and model: that is what limits are counted by. */
const schedulers = new Map<string, { readonly scheduler: Scheduler; users: number }>();

/**
 * Opens a model; nothing is sent before the first request.
 * @throws ConfigError when the reference, the key or (under a budget in money) the price is missing
 */
export function openTextModel(
  reference: string | ApiModelInput,
  options: OpenTextModelOptions,
): TextModel {
  const model = parseApiReference(reference);
  const provider = providers[model.provider]!;
  const { ledger, role = 'task', env } = options;
  const name = `${provider.name}:${model.model}`;
  const baseUrl = baseUrlOf(model, provider, name);
  const key = readKey(name, model.apiKey, { env, usual: provider.keyVariables });
  const own = withKeys(name, model.options, env);
  const price = priceFor(name, { model, baseUrl, ...options });
  const sender = options.fetch ? undefined : createSender();
  const calls = new WeakMap<AbortSignal, Attempt>();
  const shared = takeScheduler({ model, provider, baseUrl, key });
  const timeoutMs = model.timeoutSeconds * 1000;
  const line: Line = {
    who: { name, baseUrl, key, redact: redactor(key, ...own.keys) },
    chat: provider.open({
      model: model.model,
      baseUrl,
      apiKey: key?.value,
      fetch: (url, init) => calls.get(init!.signal!)!.post(String(url), init!),
    }),
    optionsName: provider.optionsName,
    options: own.data as ProviderOptions,
    logProbs: provider.logProbs,
    scheduler: shared.scheduler,
    ledger,
    role,
    price,
    contextLength: model.contextLength,
    patience: { ...defaultPatience, timeoutMs, ...options.patience },
    send: sender?.send ?? sendByFetch(options.fetch!),
    calls,
  };
  const cache = options.cache ?? memoryCache();
  const lm: ApiLm = {
    line,
    cache,
    outcomes: options.outcomes,
    key: keyOf(name, { model, provider, baseUrl }),
    asking: new Map(),
    failed: new Set(),
  };
  return {
    name,
    key: lm.key,
    contextLength: model.contextLength,
    complete: (requests, settings) => answerAll(lm, requests, settings),
    ...(provider.logProbs ? { alternatives: provider.logProbs.most } : {}),
    close: async () => {
      sender?.close();
      shared.release();
    },
  };
}

function baseUrlOf(model: ApiModel, provider: Provider, name: string): string {
  const url = model.baseUrl ?? provider.baseUrl;
  if (url) return url.replace(/\/+$/, '');
  throw new ConfigError(
    `${name}: baseUrl is missing; name the server: { provider: ${provider.name}, model: ${model.model}, baseUrl: "http://host:port/v1" }`,
  );
}

/** A price of the configuration, a known one, or none at all for a server on this machine. */
function priceFor(
  name: string,
  options: Pick<OpenTextModelOptions, 'ledger' | 'prices'> & {
    readonly model: ApiModel;
    readonly baseUrl: string;
  },
): Price | undefined {
  const { model, baseUrl, ledger, prices } = options;
  const isLocal = /^(127\.|localhost$|\[::1\]$)/.test(new URL(baseUrl).hostname);
  const price = model.price ?? priceOf(name, prices) ?? (isLocal ? FREE : undefined);
  if (price === undefined && ledger.caps.usd !== undefined) {
    throw new ConfigError(
      `${name}: its price is not known (the table is of ${PRICES_AS_OF}) and budget.usd caps what is paid; say it by prices: { "${name}": { input: …, output: … } }, in US dollars per million tokens`,
    );
  }
  return price;
}

/** Another server or other options may answer otherwise. */
function keyOf(
  name: string,
  parts: { readonly model: ApiModel; readonly provider: Provider; readonly baseUrl: string },
): string {
  const { model, provider, baseUrl } = parts;
  const place = baseUrl === provider.baseUrl ? '' : `@${baseUrl}`;
  const options = Object.keys(model.options).length;
  return `${name}${place}${options > 0 ? `#${sha256Json(model.options).slice(0, 16)}` : ''}`;
}

function takeScheduler(parts: {
  readonly model: ApiModel;
  readonly provider: Provider;
  readonly baseUrl: string;
  readonly key: Key | undefined;
}): { readonly scheduler: Scheduler; release(): void } {
  const { model, provider, baseUrl, key } = parts;
  const id = `${baseUrl} ${model.model} ${key ? sha256(key.value) : ''}`;
  let entry = schedulers.get(id);
  if (!entry) {
    const { concurrency = provider.concurrency, requestsPerMinute, tokensPerMinute } = model;
    const limits = { concurrency, requestsPerMinute, tokensPerMinute };
    entry = { scheduler: new Scheduler({ name: provider.name, ...limits }), users: 0 };
    schedulers.set(id, entry);
  }
  entry.users++;
  let isHeld = true;
  return {
    scheduler: entry.scheduler,
    release: () => {
      if (!isHeld) return;
      isHeld = false;
      if (--entry.users === 0) schedulers.delete(id);
    },
  };
}
