/** JUnit XML: what it says, and that no text can make it say something else. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Compared } from '../compare.ts';
import type { CompareRow } from '../compare-events.ts';
import type { StoredCell } from '../comparison-table.ts';
import type { JudgedExample } from '../evaluate.ts';
import type { EvaluateResult, OptimizeResult } from '../events.ts';
import { nothingAsked } from '../ledger.ts';
import { judge, judgeRow } from '../threshold.ts';
import { comparisonSuites, evaluationSuite, junitXml, runSuite } from './junit.ts';

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
  junitXml([
    evaluationSuite(
      { task: 'tiny', result: { ...result, ...over }, answers, thresholds: judge(result, limits) },
      { seconds: 1.5, started: new Date(0) },
    ),
  ]);

/** What may stand where, and what must be said: junit-10.xsd, the part that is used. */
const RULES: Record<string, { in: string; needs: string[]; may: string[] }> = {
  testsuites: {
    in: '',
    needs: [],
    may: ['name', 'time', 'tests', 'failures', 'errors', 'disabled'],
  },
  testsuite: { in: 'testsuites', needs: ['name', 'tests'], may: ['failures', 'errors', 'time', 'skipped', 'timestamp'] }, // biome-ignore format: one line
  properties: { in: 'testsuite', needs: [], may: [] },
  property: { in: 'properties', needs: ['name', 'value'], may: [] },
  testcase: { in: 'testsuite', needs: ['name', 'classname'], may: ['time'] },
  failure: { in: 'testcase', needs: [], may: ['type', 'message'] },
  error: { in: 'testcase', needs: [], may: ['type', 'message'] },
  'system-out': { in: 'testsuite', needs: [], may: [] },
};
const ORDER = ['properties', 'testcase', 'system-out'];

/** Elements as the schema has them, counts that are those of the cases, types of values. */
function expectSchema(parts: readonly Element[]): void {
  for (const { tag, attributes, parent } of parts) {
    const rule = RULES[tag]!;
    expect(rule, tag).toBeDefined();
    expect(parent?.tag ?? '').toBe(rule.in);
    const names = Object.keys(attributes);
    expect(rule.needs.filter((name) => !names.includes(name))).toEqual([]);
    expect(names.filter((name) => ![...rule.needs, ...rule.may].includes(name))).toEqual([]);
    for (const name of ['tests', 'failures', 'errors', 'skipped']) if (attributes[name] !== undefined) expect(attributes[name]).toMatch(/^\d+$/); // biome-ignore format: one line
    if (attributes.time !== undefined) expect(attributes.time).toMatch(/^\d+(\.\d+)?$/);
    if (attributes.timestamp !== undefined) expect(attributes.timestamp).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$/); // biome-ignore format: one line
  }
  const within = (top: Element, tag: string) =>
    parts.filter((one) => one.tag === tag && [one.parent, one.parent?.parent, one.parent?.parent?.parent].includes(top)); // biome-ignore format: one value
  for (const suite of parts.filter(({ tag }) => tag.startsWith('testsuite'))) {
    for (const [
      tag,
      count,
    ] of [['testcase', 'tests'], ['failure', 'failures'], ['error', 'errors']] as const) // biome-ignore format: one line
      expect(suite.attributes[count]).toBe(String(within(suite, tag).length));
    if (suite.tag === 'testsuites') continue;
    const children = parts
      .filter(({ parent }) => parent === suite)
      .map(({ tag }) => ORDER.indexOf(tag));
    expect(children).toEqual([...children].sort((a, b) => a - b));
  }
}

interface Element {
  readonly tag: string;
  readonly attributes: Record<string, string>;
  readonly parent: Element | undefined;
  text: string;
}

/** A parser of the XML that this is: strict about nesting, quotes and characters. */
function parse(text: string): Element[] {
  // XML 1.0's characters.
  expect(text).toMatch(/^[\n\r\t\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]*$/u);
  const body = text.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '');
  expect(body).not.toBe(text);
  const out: Element[] = [];
  const open: Element[] = [];
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
    const one = { tag: tag!, attributes, parent: open.at(-1), text: '' };
    out.push(one);
    if (end === '') open.push(one);
  }
  expect(open).toEqual([]);
  expectSchema(out);
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

describe('junitXml of searches', () => {
  const score = { score: 0.5, interval: [0.4, 0.6] as const, examples: 20 };
  const run = { kind: 'result', method: 'random', kindOfResult: 'text', prompt: 'a < b', promptTokens: [], train: score, validation: score, test: score, evaluations: 9, seconds: 2.5, runId: 'r1', rows: [] } as unknown as OptimizeResult; // biome-ignore format: one value

  it('has a suite for a run, its thresholds failed where they are missed', () => {
    const parts = parse(junitXml([runSuite('tiny', run, judge(score, { threshold: 0.9, thresholdLow: 0.3 }), new Date(0))])); // biome-ignore format: one call
    expect(parts.find(({ tag }) => tag === 'testsuite')!.attributes).toMatchObject({ name: 'tiny.random', tests: '3', failures: '1', time: '2.500' }); // biome-ignore format: one value
    expect(
      parts.filter(({ tag }) => tag === 'testcase').map(({ attributes }) => attributes.name),
    ).toEqual([
      'search of random',
      'the score is at least 90.0%',
      "the lower end of the score's interval is at least 30.0%",
    ]);
    expect(parts.find(({ tag }) => tag === 'failure')!.attributes.message).toContain('50.0% does not reach the threshold 90.0%'); // biome-ignore format: one line
    expect(junitXml([runSuite('tiny', run, [], new Date(0))])).toContain('tests="1" failures="0"');
  });

  it('has a suite for each method of a comparison, an error for a search that failed', () => {
    const cell = (method: string, repetition: number, hits: number[]) => ({ method, repetition, state: 'done', outcome: { found: run, trainReward: 0, test: { hash: '', hits, gold: hits } } }); // biome-ignore format: one value
    const cells = [
      cell('random', 0, [1, 1]),
      cell('random', 1, [1, 0]),
      { method: 'soft-q', repetition: 0, state: 'failed', error: 'out of \u0000 <memory> ]]>' },
      { method: 'soft-q', repetition: 1, state: 'failed', error: 'too' },
    ] as unknown as StoredCell[];
    const row = (method: string, test: CompareRow['test']) => ({ method, kindOfResult: 'text', seeds: [], test, validation: null, evaluations: null, seconds: null, usd: null }) as const; // biome-ignore format: one value
    const rows = [row('random', { mean: 0.75, interval: [0.5, 1] }), row('soft-q', null)];
    const plan = { repetitions: [{ seed: 1 }, { seed: 2, split: 'b' }] };
    const compared = { plan, cells, about: { task: 'tiny' } } as unknown as Compared;
    const suites = comparisonSuites(compared, rows, (one) => judgeRow(one, { threshold: 0.6 }), new Date(0)); // biome-ignore format: one call
    const parts = parse(junitXml(suites));
    const of = (tag: string) => parts.filter((one) => one.tag === tag);
    expect(
      of('testsuite').map(({ attributes: { name, tests, failures, errors } }) => [
        name,
        tests,
        failures,
        errors,
      ]),
    ).toEqual([
      ['tiny.random', '3', '0', '0'],
      ['tiny.soft-q', '3', '1', '2'],
    ]);
    expect(of('testcase').map(({ attributes }) => attributes.name).slice(0, 2)).toEqual(['search with seed 1: test 100.0%', 'search with seed 2, split b: test 50.0%']); // biome-ignore format: one line
    expect(of('error')[0]!.attributes.message).toBe('out of [U+0000] <memory> ]]>');
    expect(of('failure')[0]!.attributes.message).toBe('soft-q: came to no end, so that the score does not reach the threshold 60.0%'); // biome-ignore format: one line
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
