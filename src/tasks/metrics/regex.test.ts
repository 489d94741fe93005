import { describe, expect, it } from 'vitest';
import { type MetricConfig, metricOf } from './index.ts';

async function score(config: MetricConfig, output: string, ...golds: string[]) {
  return (await (await metricOf(config)).score([{ output, golds, input: '' }]))[0];
}

describe('regex', () => {
  it('takes one pattern for all, or each gold for one', async () => {
    expect(await score({ name: 'regex', pattern: '^\\d+$' }, '42', 'unused')).toBe(1);
    expect(await score('regex', 'It was in 1969.', '19[67]8', '\\b19\\d9\\b')).toBe(1);
    expect(await score('regex', 'It was in 1969.', '\\b9\\d9\\b')).toBe(0);
  });

  it.each([
    ['^\\d+$', 'Sure:\n42\nBye', 0],
    ['^$', '', 1],
    ['x*', '', 1],
    ['d$', 'end', 1],
    ['$', 'a', 1],
    ['\\bkот\\b', 'kот', 1],
    ['\\Bb', 'ab', 1],
    ['a|b(?!c)', 'bc', 0],
  ])('%s on %j is %i', async (pattern, output, want) => {
    expect(await score({ name: 'regex', pattern }, output, '')).toBe(want);
  });

  it('ignores case when told to', async () => {
    const config = { name: 'regex', pattern: 'yes|no' } as const;
    expect(await score(config, 'YES', '')).toBe(0);
    expect(await score({ ...config, ignoreCase: true }, 'YES', '')).toBe(1);
  });

  it('agrees with the JavaScript engine on what both know', async () => {
    const patterns = [
      'a+b?c',
      '[^a]b',
      '(ab)+c',
      '^a.c$',
      'a{2,3}',
      '(a|ab)(c|bcd)',
      'a(?=b)',
      'c$',
    ];
    const texts = ['', 'abc', 'aac', 'ababc', 'xbx', 'aaab', 'abcd', 'a\nc', 'cab'];
    for (const pattern of patterns) {
      for (const text of texts) {
        const want = new RegExp(pattern, 'u').test(text) ? 1 : 0;
        expect([pattern, text, await score({ name: 'regex', pattern }, text, '')]).toEqual([
          pattern,
          text,
          want,
        ]);
      }
    }
  });

  it('gives null for what takes too long', async () => {
    const metric = await metricOf({ name: 'regex', pattern: '(a|a)*(a|a)*(a|a)*b' });
    const slow = { output: 'a'.repeat(60), golds: [''], input: '' };
    expect(await metric.score([slow, { ...slow, output: 'ab' }])).toEqual([null, 1]);
  });

  it('stops after ten in a row', async () => {
    const metric = await metricOf({ name: 'regex', pattern: '(ab)+c' });
    const deep = { output: 'ab'.repeat(2000), golds: [''], input: '' };
    const fine = { ...deep, output: 'abc' };
    const nine = (from: number) =>
      Array.from({ length: 9 }, (_, i) => ({ ...deep, input: `${from + i}` }));
    expect(await metric.score([...nine(0), fine, ...nine(9)])).toContain(1);
    await expect(metric.score([deep])).rejects.toThrow(
      /^metric regex: 10 examples in a row .* too many steps/,
    );
  });

  it('can look through a long text for what is not there', async () => {
    expect(await score({ name: 'regex', pattern: 'x.*y' }, 'a'.repeat(100_000), '')).toBe(0);
    expect(await score({ name: 'regex', pattern: '.*y' }, 'a'.repeat(2500), '')).toBe(0);
  });

  it('refuses what it cannot read, in a sentence', async () => {
    await expect(metricOf({ name: 'regex', pattern: '(a' })).rejects.toThrow(
      'metric regex: the pattern "(a" has an unclosed group',
    );
    await expect(metricOf({ name: 'regex', pattern: '(a)\\1' })).rejects.toThrow('escape \\1');
    const { check } = await metricOf('regex');
    expect(() => check!(['fine', '(?<=a)b'], 'a.csv')).toThrow('gold answer 2 of 2 is "(?<=a)b"');
    expect((await metricOf({ name: 'regex', pattern: 'a' })).check).toBeUndefined();
  });
});
