import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type MetricConfig, metricOf } from './index.ts';
import { firstObject, type JsonValue } from './json-text.ts';

async function score(config: MetricConfig, output: string, gold: string) {
  return (await (await metricOf(config)).score([{ output, golds: [gold], input: '' }]))[0];
}

/** Maps as plain objects, to compare with what JSON.parse gives. */
function plain(value: JsonValue | undefined): unknown {
  if (Array.isArray(value)) return value.map(plain);
  if (!(value instanceof Map)) return value;
  return Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)]));
}

describe('the first JSON object of a text', () => {
  it.each([
    ['Sure! Here it is:\n```json\n{"a": 1}\n```\nAnything else?', { a: 1 }],
    ['I fill in {name} so: {"name": "Ann"} and {"b": 2}', { name: 'Ann' }],
    ["{'a': True, 'b': None, 'c': [1, 2,],}", { a: true, b: null, c: [1, 2] }],
    ['{name: "x", "y": {"z": -1.5e2}}', { name: 'x', y: { z: -150 } }],
    ['{"a": "two\nlines \\u00e9 \\"q\\" \\\\"}', { a: 'two\nlines é "q" \\' }],
    ['[{"a": 1}, {"a": 2}]', { a: 1 }],
    ['{"a": 1', undefined],
    ['{"a": nonsense}', undefined],
    ['no braces', undefined],
  ])('%j', (text, want) => {
    expect(plain(firstObject(text))).toEqual(want);
  });

  it('is what JSON.parse reads, whatever stands around it', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), fc.string(), (object, around) => {
        const before = around.replaceAll('{', '');
        const text = JSON.stringify(object);
        expect(plain(firstObject(`${before}${text}${around}`))).toEqual(JSON.parse(text));
      }),
    );
  });

  it.each([
    ['{', 1],
    ['{"', 1],
    ["{'a{", 1],
    ['{"a":', 1],
    ['[{"a":[', 1],
    ['{"\\"', 1],
    ['{a:{', 1],
    ['{"a":1,', 1],
  ])('takes no long time on %s repeated', (piece) => {
    const started = performance.now();
    firstObject(piece.repeat(50_000));
    expect(performance.now() - started).toBeLessThan(20_000);
  });
});

describe('json', () => {
  const gold = '{"name": "Ann Lee", "age": 42, "address": {"city": "Rome"}, "tags": ["a", "b"]}';

  it('counts fields: 3 of 5 found, 3 of 4 right', async () => {
    const output =
      'So: {"name": "ann  lee", "age": "42", "address": {"city": "Oslo"}, "tags": ["b"]}';
    expect(await score({ name: 'json', measure: 'recall' }, output, gold)).toBeCloseTo(3 / 5, 12);
    expect(await score({ name: 'json', measure: 'precision' }, output, gold)).toBe(3 / 4);
    expect(await score('json', output, gold)).toBeCloseTo(6 / 9, 12);
  });

  it('can take types, case and white space seriously', async () => {
    const output =
      '{"name": "ann lee", "age": "42", "address": {"city": "Rome"}, "tags": ["b", "a"]}';
    const config = { name: 'json', exact: true, measure: 'recall' } as const;
    expect(await score(config, output, gold)).toBe(3 / 5);
  });

  it('knows codes from numbers and __proto__ from nothing', async () => {
    expect(await score('json', '{"zip": 1234}', '{"zip": "01234"}')).toBe(0);
    expect(await score('json', '{"n": 1.0}', '{"n": "1"}')).toBe(1);
    expect(await score('json', '{}', '{"__proto__": 1}')).toBe(0);
    expect(await score('json', '{"__proto__": 1}', '{"__proto__": 1}')).toBe(1);
  });

  it('does not take a path for another', async () => {
    expect(await score('json', '{"a": {"b": 1}}', '{"a.b": 1}')).toBe(0);
    expect(await score('json', '{"a": []}', '{"a": {}}')).toBe(0);
  });

  it('scores 0 without an object, and 1 for an empty one that was asked for', async () => {
    expect(await score('json', 'I cannot.', gold)).toBe(0);
    expect(await score('json', 'There is nothing: {}', '{}')).toBe(1);
    expect(await score('json', '{"a": 1}', '{}')).toBe(0);
  });
});
