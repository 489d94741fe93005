/**
 * What a server's headers say about its limits: how much is left of each, when it is whole again,
 * and how long to wait. Reads OpenAI's x-ratelimit-* (durations such as "6m0s" or "20ms"),
 * Anthropic's anthropic-ratelimit-* (RFC 3339 times), Retry-After in seconds or as a date, its
 * variant in milliseconds, and Google's RetryInfo in the body of an error. What cannot be read is
 * treated as not said.
 */

export type Headers = Readonly<Record<string, string | undefined>>;

export const limitKinds = ['requests', 'tokens', 'inputTokens', 'outputTokens'] as const;
export type LimitKind = (typeof limitKinds)[number];

/** One limit as a server told it. */
export interface Limit {
  readonly kind: LimitKind;
  readonly limit: number;
  readonly remaining: number;
  /** Until nothing counts against the limit any more. */
  readonly resetMs: number | undefined;
}

const PREFIXES: readonly (readonly [kind: LimitKind, name: (part: string) => string])[] = [
  ['requests', (part) => `x-ratelimit-${part}-requests`],
  ['tokens', (part) => `x-ratelimit-${part}-tokens`],
  ['requests', (part) => `anthropic-ratelimit-requests-${part}`],
  ['tokens', (part) => `anthropic-ratelimit-tokens-${part}`],
  ['inputTokens', (part) => `anthropic-ratelimit-input-tokens-${part}`],
  ['outputTokens', (part) => `anthropic-ratelimit-output-tokens-${part}`],
];
const HEADERS = PREFIXES.map(([kind, name]) => ({
  kind,
  limit: name('limit'),
  remaining: name('remaining'),
  reset: name('reset'),
}));

/** The limits that an answer's headers (their names in lower case) tell. */
export function readLimits(headers: Headers, now: number = Date.now()): Limit[] {
  const limits: Limit[] = [];
  for (const names of HEADERS) {
    const remaining = count(headers[names.remaining]);
    const limit = count(headers[names.limit]);
    if (remaining === undefined || limit === undefined || limit === 0) continue;
    const resetMs = durationMs(headers[names.reset], now);
    limits.push({ kind: names.kind, limit, remaining, resetMs });
  }
  return limits;
}

/** How long a refused request is asked to wait; undefined where nothing legible says so. */
export function retryAfterMs(
  headers: Headers,
  body = '',
  now: number = Date.now(),
): number | undefined {
  const inMs = headers['retry-after-ms']?.trim();
  if (inMs && /^\d{1,10}(\.\d+)?$/.test(inMs)) return Math.ceil(Number(inMs));
  const header = headers['retry-after']?.trim();
  if (header) {
    if (/^\d{1,10}(\.\d+)?$/.test(header)) return Math.ceil(Number(header) * 1000);
    // A date has a weekday or a year in it; Date.parse would also take "-5" for one.
    const date = /\d{4}/.test(header) && /[a-z]/i.test(header) ? Date.parse(header) : Number.NaN;
    if (!Number.isNaN(date)) return Math.max(0, date - now);
  }
  const delay = /"retryDelay"\s*:\s*"(\d{1,9}(?:\.\d+)?)s"/.exec(body);
  return delay ? Math.ceil(Number(delay[1]) * 1000) : undefined;
}

function count(header: string | undefined): number | undefined {
  if (header === undefined || !/^\d{1,15}$/.test(header.trim())) return undefined;
  return Number(header);
}

const UNITS_MS: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

/** "1s", "6m0s", "20ms", plain seconds, or a time such as "2026-01-01T00:00:00Z". */
function durationMs(header: string | undefined, now: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d{1,9}(\.\d+)?$/.test(text)) return Number(text) * 1000;
  if (/^(\d{1,9}(\.\d+)?(ms|s|m|h|d))+$/.test(text)) {
    let sum = 0;
    for (const [, amount, unit] of text.matchAll(/([\d.]+)(ms|s|m|h|d)/g)) {
      sum += Number(amount) * UNITS_MS[unit!]!;
    }
    return sum;
  }
  const time = /^\d{4}-\d\d-\d\dT/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(time) ? undefined : Math.max(0, time - now);
}
