import { describe, expect, it } from 'vitest';
import { Bucket } from './bucket.ts';
import { readLimits, retryAfterMs } from './rate-limits.ts';

const NOW = Date.parse('2026-01-01T00:00:00Z');

describe('readLimits', () => {
  it("reads OpenAI's headers, durations and all", () => {
    const headers = {
      'x-ratelimit-limit-requests': '60',
      'x-ratelimit-remaining-requests': '59',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '150000',
      'x-ratelimit-remaining-tokens': '149984',
      'x-ratelimit-reset-tokens': '6m0.5s',
    };
    expect(readLimits(headers, NOW)).toEqual([
      { kind: 'requests', limit: 60, remaining: 59, resetMs: 1000 },
      { kind: 'tokens', limit: 150_000, remaining: 149_984, resetMs: 360_500 },
    ]);
  });

  it("reads Anthropic's headers and times", () => {
    const headers = {
      'anthropic-ratelimit-requests-limit': '1000',
      'anthropic-ratelimit-requests-remaining': '999',
      'anthropic-ratelimit-requests-reset': '2026-01-01T00:00:02Z',
      'anthropic-ratelimit-output-tokens-limit': '16000',
      'anthropic-ratelimit-output-tokens-remaining': '15000',
      'anthropic-ratelimit-output-tokens-reset': '2025-12-31T23:59:59Z',
    };
    expect(readLimits(headers, NOW)).toEqual([
      { kind: 'requests', limit: 1000, remaining: 999, resetMs: 2000 },
      { kind: 'outputTokens', limit: 16_000, remaining: 15_000, resetMs: 0 },
    ]);
  });

  it.each([['-1'], ['many'], [''], ['0']])('takes a limit of %j for not said', (limit) => {
    const headers = {
      'x-ratelimit-limit-requests': limit,
      'x-ratelimit-remaining-requests': '1',
    };
    expect(readLimits(headers, NOW)).toEqual([]);
  });
});

describe('retryAfterMs', () => {
  it.each([
    ['2', 2000],
    ['0', 0],
    ['1.5', 1500],
    ['Thu, 01 Jan 2026 00:00:07 GMT', 7000],
    ['Wed, 31 Dec 2025 00:00:00 GMT', 0],
    ['99999999', 99_999_999_000],
    ['soon', undefined],
    ['-5', undefined],
    ['1e9', undefined],
    ['NaN', undefined],
    ['', undefined],
  ])('reads %j as %j', (header, ms) => {
    expect(retryAfterMs({ 'retry-after': header }, '', NOW)).toBe(ms);
  });

  it("prefers milliseconds, and reads Google's words in the body", () => {
    expect(retryAfterMs({ 'retry-after': '9', 'retry-after-ms': '120' })).toBe(120);
    const body = '{"error":{"details":[{"@type":"…RetryInfo","retryDelay":"34.5s"}]}}';
    expect(retryAfterMs({}, body)).toBe(34_500);
  });
});

describe('Bucket', () => {
  const told = (remaining: number, resetMs = 1000) =>
    ({ kind: 'requests', limit: 10, remaining, resetMs }) as const;

  it('refills at the pace that the server tells', () => {
    const bucket = new Bucket(10, 0, 0);
    bucket.learn(told(0), 1, 0);
    expect(bucket.waitMs(1, 0)).toBe(100);
    expect(bucket.waitMs(1, 100)).toBe(0);
    expect(bucket.waitMs(5, 100)).toBe(400);
  });

  it('counts what is under way, and forgets what was not sent', () => {
    const bucket = new Bucket(10, 0, 0);
    bucket.learn(told(2, 0), 1, 0);
    bucket.take(2);
    expect(bucket.waitMs(1, 0)).toBe(Number.POSITIVE_INFINITY);
    bucket.giveBack(2);
    expect(bucket.waitMs(2, 0)).toBe(0);
  });

  it('does not believe an older answer that promises more', () => {
    const bucket = new Bucket(10, 0, 0);
    bucket.learn(told(1), 2, 0);
    bucket.learn(told(8), 1, 0);
    expect(bucket.waitMs(2, 0)).toBeGreaterThan(0);
  });

  it('lets a request through that is larger than the limit, when it is full', () => {
    const bucket = new Bucket(10, 1, 0);
    expect(bucket.waitMs(50, 0)).toBe(0);
  });
});
