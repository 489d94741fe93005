/**
 * What models cost, in US dollars per million tokens, at list price as of `PRICES_AS_OF`; gathered
 * from the providers' price pages through LiteLLM's public table. Prices change: a configuration's
 * own table stands above this one. Leaves out surcharges (long contexts, tools, regions) and rebates
 * (batches), save the one for input that the provider had in its cache.
 */

export const PRICES_AS_OF = '2026-07-24';

/** US dollars per million tokens. */
export interface Price {
  readonly input: number;
  readonly output: number;
  /** Of input tokens that the provider read from its own cache. @default as `input` */
  readonly cachedInput?: number | undefined;
}

export type PriceTable = Readonly<Record<string, Price>>;

export interface TokenCounts {
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Those of `inputTokens` that came from the provider's cache. */
  readonly cachedInputTokens?: number | undefined;
}

export const FREE: Price = { input: 0, output: 0 };

const price = (input: number, output: number, cachedInput: number): Price => ({
  input,
  output,
  cachedInput,
});

export const knownPrices: PriceTable = {
  'openai:gpt-3.5-turbo': price(0.5, 1.5, 0.5),
  'openai:gpt-4-turbo': price(10, 30, 10),
  'openai:gpt-4o': price(2.5, 10, 1.25),
  'openai:gpt-4o-mini': price(0.15, 0.6, 0.075),
  'openai:gpt-4.1': price(2, 8, 0.5),
  'openai:gpt-4.1-mini': price(0.4, 1.6, 0.1),
  'openai:gpt-4.1-nano': price(0.1, 0.4, 0.025),
  'openai:gpt-5': price(1.25, 10, 0.125),
  'openai:gpt-5-mini': price(0.25, 2, 0.025),
  'openai:gpt-5-nano': price(0.05, 0.4, 0.005),
  'openai:gpt-5.1': price(1.25, 10, 0.125),
  'openai:gpt-5.2': price(1.75, 14, 0.175),
  'openai:gpt-5.4': price(2.5, 15, 0.25),
  'openai:gpt-5.4-mini': price(0.75, 4.5, 0.075),
  'openai:gpt-5.4-nano': price(0.2, 1.25, 0.02),
  'openai:gpt-5.5': price(5, 30, 0.5),
  'openai:o3': price(2, 8, 0.5),
  'openai:o3-mini': price(1.1, 4.4, 0.55),
  'openai:o4-mini': price(1.1, 4.4, 0.275),
  'anthropic:claude-3-haiku': price(0.25, 1.25, 0.03),
  'anthropic:claude-haiku-4-5': price(1, 5, 0.1),
  'anthropic:claude-sonnet-4': price(3, 15, 0.3),
  'anthropic:claude-sonnet-4-5': price(3, 15, 0.3),
  'anthropic:claude-sonnet-4-6': price(3, 15, 0.3),
  'anthropic:claude-sonnet-5': price(2, 10, 0.2),
  'anthropic:claude-opus-4-5': price(5, 25, 0.5),
  'anthropic:claude-opus-4-6': price(5, 25, 0.5),
  'anthropic:claude-opus-4-7': price(5, 25, 0.5),
  'anthropic:claude-opus-4-8': price(5, 25, 0.5),
  'anthropic:claude-opus-5': price(5, 25, 0.5),
  'google:gemini-2.5-flash': price(0.3, 2.5, 0.03),
  'google:gemini-2.5-flash-lite': price(0.1, 0.4, 0.01),
  'google:gemini-2.5-pro': price(1.25, 10, 0.125),
  'google:gemini-3.5-flash': price(1.5, 9, 0.15),
  'google:gemini-3.5-flash-lite': price(0.3, 2.5, 0.03),
};

/** The price of "provider:model", a dated name ("…-2024-07-18", "…-20251001") as the undated. */
export function priceOf(name: string, table: PriceTable = {}): Price | undefined {
  const undated = name.replace(/-(\d{4}-\d{2}-\d{2}|\d{8})$/, '');
  for (const prices of [table, knownPrices]) {
    for (const key of [name, undated]) {
      if (Object.hasOwn(prices, key)) return prices[key];
    }
  }
  return undefined;
}

/** US dollars for these tokens. */
export function costUsd(price: Price, tokens: TokenCounts): number {
  const cached = Math.min(tokens.cachedInputTokens ?? 0, tokens.inputTokens);
  const input = (tokens.inputTokens - cached) * price.input;
  const fromCache = cached * (price.cachedInput ?? price.input);
  return (input + fromCache + tokens.outputTokens * price.output) / 1e6;
}
