/** Keys in a model's own options: refused where they are written out, put in where they are named. */
import { createHash } from 'node:crypto';
import { expect, it } from 'vitest';
import { problemsOf } from '../runs/config.ts';
import { parseApiReference } from './reference.ts';
import { redactor, withKeys } from './secrets.ts';

const secret = (i: number) =>
  createHash('sha256').update(`planted ${i}`).digest('hex').slice(0, 32);
const NAMES = ['apiKey', 'api_key', 'x-api-key', 'Authorization', 'cookie', 'password', 'clientSecret', 'authToken', 'credentials', 'passphrase']; // biome-ignore format: a list
const base = { provider: 'openai-compatible', model: 'm' };

/** 40 of them: by name, by look, nested, as headers, in addresses, of known shapes. */
const planted: readonly (readonly [string, object])[] = [
  ...NAMES.map((name, i) => [`short-${i}`, { options: { [name]: `short-${i}` } }] as const),
  ...NAMES.map((name, i) => [`deep-${i}`, { options: { a: [{ headers: { [name]: `deep-${i}` } }] } }] as const),
  ...Array.from({ length: 5 }, (_, i) => [secret(i), { options: { anything: secret(i) } }] as const),
  ...Array.from({ length: 5 }, (_, i) => [secret(9 + i), { options: { note: `use sk-${secret(9 + i)} here` } }] as const),
  ...Array.from({ length: 4 }, (_, i) => [secret(20 + i), { options: { proxy: `http://me:${secret(20 + i)}@host/` } }] as const),
  ...Array.from({ length: 2 }, (_, i) => [secret(30 + i), { baseUrl: `https://me:${secret(30 + i)}@host/v1` }] as const),
  ...Array.from({ length: 2 }, (_, i) => [secret(40 + i), { baseUrl: `https://host/v1?key=${secret(40 + i)}` }] as const),
  ...Array.from({ length: 2 }, (_, i) => [secret(50 + i), { baseUrl: `https://host/sk-${secret(50 + i)}/v1` }] as const),
]; // biome-ignore format: a list

it('refuses 40 keys in options and addresses without saying them again', () => {
  expect(planted).toHaveLength(40);
  for (const [text, parts] of planted) {
    let message = '';
    try {
      parseApiReference({ ...base, ...parts } as never);
    } catch (error) {
      message = (error as Error).message;
    }
    expect([text, message]).toEqual([text, expect.stringMatching(/^model\.(options|baseUrl)/)]);
    expect(message).not.toContain(text);
    const problems = problemsOf(
      JSON.stringify({ task: { data: 'x.csv' }, taskLm: { ...base, ...parts } }),
    );
    expect(problems.some(({ path }) => path.startsWith('taskLm'))).toBe(true);
    expect(JSON.stringify(problems)).not.toContain(text);
  }
});

it('says no key again that stands where a reference belongs', () => {
  const config = { task: { data: 'x.csv' }, taskLm: { ...base, apiKey: 'hunter2' } };
  const problems = problemsOf(JSON.stringify(config));
  expect(problems[0]!.message).toContain('env:OPENAI_API_KEY');
  expect(JSON.stringify(problems)).not.toContain('hunter2');
});

it('lets usual options and addresses pass', () => {
  const options = { reasoningEffort: 'low', user: 'team-7', promptCacheKey: 'sentiment', stop: ['\n'], max_tokens: 5, apiKey: 'env:MY_KEY' }; // biome-ignore format: one line
  const baseUrl = `https://gateway.example/v1/${secret(1)}/openai`;
  expect(parseApiReference({ ...base, baseUrl, options })).toMatchObject({ baseUrl, options });
});

it('puts named keys in, and takes them out of what comes back', () => {
  const env = { MY_KEY: 'swordfish-7' };
  const { data, keys } = withKeys('m', { a: ['env:MY_KEY'], b: 1 }, { ...env });
  expect(data).toEqual({ a: ['swordfish-7'], b: 1 });
  expect(redactor(...keys)('401 for swordfish-7')).toBe('401 for [key]');
  expect(() => withKeys('m', { a: 'env:NOT_THERE' }, env)).toThrow(/NOT_THERE is not set/);
});

it('leaves words alone and takes no time that grows with the square of a text', () => {
  const redact = redactor();
  for (const text of ['Basic sentiment', 'basic arithmetic questions', 'bearer bonds rose']) {
    expect(redact(text)).toBe(text);
  }
  expect(redact('Authorization: Bearer swordfish')).not.toContain('swordfish');
  expect(redact('Basic dXNlcjpwYXNz')).toBe('Basic [key]');
  // Quadratic, this takes a minute and runs into the test's limit.
  expect(redact('sk-'.repeat(100_000)).length).toBeGreaterThan(0);
});
