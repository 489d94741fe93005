/** JUnit XML: what it says, and that no text can make it say something else. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { JudgedExample } from '../evaluate.ts';
import type { EvaluateResult } from '../events.ts';
import { nothingAsked } from '../ledger.ts';
import { judge } from '../threshold.ts';
import { junitXml } from './junit.ts';

const result: EvaluateResult = {
  kind: 'result',
  prompt: 'a prompt',
  split: 'test',
  score: 0.5,
  interval: [0.4, 0.6],
  examples: 2,
  perClass: [],
  ledger: nothingAsked,
};
const example = (over: Partial<JudgedExample> = {}): JudgedExample => ({
  at: 0,
  input: 'the food was good',
  gold: 'yes',
  answer: 'yes',
  score: 1,
  ...over,
});
const xml = (answers: readonly JudgedExample[], over: Partial<EvaluateResult> = {}, limits = {}) =>
  junitXml({
    task: 'tiny',
    result: { ...result, ...over },
    answers,
    thresholds: judge(result, limits),
    seconds: 1.5,
    started: new Date(0),
  });

/** A parser of the XML that this is: strict about nesting, quotes and characters. */
function parse(text: string): { tag: string; attributes: Record<string, string>; text: string }[] {
  // XML 1.0's characters.
  expect(text).toMatch(/^[\n\r\t\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
  const body = text.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '');
  expect(body).not.toBe(text);
  const out: { tag: string; attributes: Record<string, string>; text: string }[] = [];
  const open: (typeof out)[number][] = [];
  const plain = (s: string) => {
    expect(s).not.toMatch(/&(?!amp;|lt;|gt;|quot;|#39;)|]]>/);
    return s.replace(/&(amp|lt|gt|quot|#39);/g, (_, e: string) => ({ amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" })[e]!); // biome-ignore format: one line
  };
  for (const [piece] of body.matchAll(/<[^>]*>|[^<]+/g)) {
    if (!piece.startsWith('<')) {
      if (open.length > 0) open.at(-1)!.text += plain(piece);
      continue;
    }
    if (piece.startsWith('</')) {
      expect(piece).toBe(`</${open.pop()?.tag}>`);
      continue;
    }
    const [, tag, rest, end] = /^<([a-z-]+)((?: [a-z]+="[^"<]*")*)(\/?)>$/.exec(piece) ?? [];
    expect(tag, piece).toBeDefined();
    const attributes = Object.fromEntries(
      [...rest!.matchAll(/ ([a-z]+)="([^"]*)"/g)].map(([, name, value]) => [name!, plain(value!)]),
    );
    const one = { tag: tag!, attributes, text: '' };
    out.push(one);
    if (end === '') open.push(one);
  }
  expect(open).toEqual([]);
  return out;
}

describe('junitXml', () => {
  it('has a case an example, wrong ones first, and one for each threshold', () => {
    const answers = [
      example(),
      example({ at: 1, answer: 'no', score: 0 }),
      { at: 2, input: 'lost', gold: 'yes' },
    ];
    const parts = parse(xml(answers, {}, { threshold: 0.8, thresholdLow: 0.3 }));
    const suite = parts.find(({ tag }) => tag === 'testsuite')!.attributes;
    expect(suite).toMatchObject({ name: 'tiny.test', tests: '5', failures: '2', errors: '1', timestamp: '1970-01-01T00:00:00' }); // biome-ignore format: one value
    expect(
      parts.filter(({ tag }) => tag === 'testcase').map(({ attributes }) => attributes.name),
    ).toEqual([
      'the score is at least 80.0%',
      "the lower end of the score's interval is at least 30.0%",
      'example 2: the food was good',
      'example 3: lost',
      'example 1: the food was good',
    ]);
    const failures = parts.filter(({ tag }) => tag === 'failure');
    expect(failures.map(({ attributes }) => attributes.message)).toEqual([
      'the score 50.0% does not reach the threshold 80.0% (50.0% [40.0, 60.0], 2 examples)',
      'expected yes, got no',
    ]);
    expect(failures[1]!.text).toBe('the food was good');
  });

  it('leaves out right examples beyond a thousand, and says so', () => {
    const answers = Array.from({ length: 1500 }, (_, at) =>
      example({ at, score: at % 3 === 0 ? 0 : 1 }),
    );
    const parts = parse(xml(answers));
    expect(parts.filter(({ tag }) => tag === 'testcase')).toHaveLength(1000);
    expect(parts.filter(({ tag }) => tag === 'failure')).toHaveLength(500);
    expect(parts.find(({ tag }) => tag === 'system-out')!.text).toBe('500 of 1500 examples are left out of this file, right ones first.'); // biome-ignore format: one line
  });

  it('is the same elements whatever texts hold', () => {
    const nasty = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.string({
        unit: fc.constantFrom(
          '<',
          '>',
          '&',
          '"',
          "'",
          ']]>',
          '\u0000',
          '\u001b',
          '\ufffe',
          '\ud800',
          '<!--',
          '<![CDATA[',
        ),
      }),
    );
    const tags = (texts: readonly [string, string, string, string]) => {
      const [input, answer, gold, prompt] = texts;
      return parse(xml([example({ input, answer, gold, score: 0 })], { prompt })).map(
        ({ tag }) => tag,
      );
    };
    const wanted = tags(['a', 'b', 'c', 'd']);
    fc.assert(
      fc.property(fc.tuple(nasty, nasty, nasty, nasty), (texts) => {
        expect(tags(texts)).toEqual(wanted);
      }),
    );
  });
});

it('a threshold that is met exactly is reached', () => {
  const score = { score: 24 / 30, interval: [0.6, 0.9] as const, examples: 30 };
  expect(judge(score, { threshold: 0.8 })[0]).toMatchObject({ isReached: true });
  expect(
    judge(score, { threshold: 0.81, thresholdLow: 0.6 }).map(({ isReached }) => isReached),
  ).toEqual([false, true]);
  expect(judge(score, {})).toEqual([]);
});
