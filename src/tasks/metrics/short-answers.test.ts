/** Exact, normalised, numeric, contains: what counts as right. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MetricConfig, metricOf } from './index.ts';
import { lastNumber } from './numeric.ts';

async function score(config: MetricConfig, output: string, ...golds: string[]) {
  return (await (await metricOf(config)).score([{ output, golds, input: '' }]))[0];
}

describe('exact', () => {
  it('forgives white space at the ends only', async () => {
    expect(await score('exact', ' Paris\n', 'Rome', 'Paris')).toBe(1);
    expect(await score('exact', 'paris', 'Paris')).toBe(0);
  });
});

describe('normalised', () => {
  it('forgives case, marks, articles', async () => {
    expect(await score('normalised', 'The  "Eiffel" tower.', 'eiffel tower')).toBe(1);
    expect(await score('normalised', 'Theatre', 'atre')).toBe(0);
  });
});

describe('numeric', () => {
  it.each([
    ['The total is 72.', 72],
    ['3 + 4 = 7', 7],
    ['it costs $1,234.50 today', 1234.5],
    ['1,234,567', 1234567],
    ["CHF 1'234'567", 1234567],
    ['-5', -5],
    ['(−2.5)', -2.5],
    ['-$40', -40],
    ['from 10-20', 20],
    ['a-5', 5],
    ['1.5e3', 1500],
    ['.5', 0.5],
    ['12.', 12],
    ['007', 7],
    ['٤٢٫٥', 42.5],
    ['答案是４２', 42],
    ['𝟗𝟎', 90],
    ['#### 18', 18],
    ['1,2345', 2345],
  ])('reads %s', (text, number) => {
    expect(lastNumber(text)).toBe(number);
  });

  it('reads a decimal comma when told to', () => {
    expect(lastNumber('1.234,5 Euro', ',')).toBe(1234.5);
    expect(lastNumber('0,5', ',')).toBe(0.5);
  });

  it('finds no number where there is none', () => {
    expect(lastNumber('none, really.')).toBeUndefined();
  });

  it('reads back every integer and its grouped form', () => {
    fc.assert(
      fc.property(fc.integer(), (n) => {
        expect(lastNumber(`so it is ${n}.`)).toBe(n);
        expect(lastNumber(`so it is ${n.toLocaleString('en-US')}.`)).toBe(n);
      }),
    );
  });

  it('takes tolerances, absolute and relative', async () => {
    expect(await score('numeric', 'about 3.14', '3.14159')).toBe(0);
    expect(await score({ name: 'numeric', tolerance: 0.01 }, 'about 3.14', '3.14159')).toBe(1);
    const relative = { name: 'numeric', relativeTolerance: 0.01 } as const;
    expect(await score(relative, '1009', '1000')).toBe(1);
    expect(await score(relative, '1011', '1000')).toBe(0);
  });

  it('does not take an answer without a number for right', async () => {
    expect(await score('numeric', 'I do not know', '0')).toBe(0);
  });
});

describe('contains', () => {
  it('ignores case unless told not to', async () => {
    expect(await score('contains', 'It is PARIS.', 'Paris')).toBe(1);
    expect(await score({ name: 'contains', ignoreCase: false }, 'It is PARIS.', 'Paris')).toBe(0);
  });

  it('can ask for whole words, in every script', async () => {
    const config = { name: 'contains', wholeWords: true } as const;
    expect(await score('contains', 'nothing', 'no')).toBe(1);
    expect(await score(config, 'nothing', 'no')).toBe(0);
    expect(await score(config, 'nothing? no!', 'no')).toBe(1);
    expect(await score(config, 'кошка', 'ко')).toBe(0);
    expect(await score(config, 'C++ is it', 'C++')).toBe(1);
  });
});
