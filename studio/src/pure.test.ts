/** The page's parts that need no browser: texts, numbers, addresses, thinning, differences. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { pan, zoom } from './charts/viewport.ts';
import { kinship, wordDiff } from './diff.ts';
import { ago, bytes, duration, number, pValue } from './format.ts';
import { type LiveRun, withEntry } from './live.ts';
import { hrefOf, parseRoute } from './router.ts';
import { append, type Track, thin, valuesOf } from './thin.ts';
import { pieces, plain } from './visible.ts';
import { sentence } from './words.ts';

describe('texts of models', () => {
  it('names what does not show and leaves the rest as it is', () => {
    expect(plain('a\u202eb\u200b\x1b[31m\n<b>')).toBe('aU+202EbU+200B␛[31m⏎<b>');
    expect(pieces('plain text')).toEqual([{ text: 'plain text', isOdd: false }]);
  });

  it('lets no control character through', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 0, max: 0x2ffff })), (codes) => {
        const text = String.fromCodePoint(...codes);
        expect(plain(text)).not.toMatch(/[\p{Cc}\p{Cf}\p{Co}\p{Cs}]/u);
      }),
    );
  });
});

describe('addresses', () => {
  it('come back as they went, whatever is in them', () => {
    const text = fc.string({ unit: 'grapheme', minLength: 1 });
    fc.assert(
      fc.property(fc.array(text, { minLength: 1 }), text, (path, value) => {
        expect(parseRoute(hrefOf(path, { value }))).toEqual({ path, query: { value } });
      }),
    );
  });

  it('with a broken escape are taken as typed', () => {
    expect(parseRoute('#/runs/%zz').path).toEqual(['runs', '%zz']);
  });
});

describe('thinning', () => {
  const long = (length: number): Track => ({
    step: Array.from({ length }, (_, i) => i + 1),
    columns: {
      reward: Array.from({ length }, (_, i) => (i === 777 ? 99 : i === 123 ? -99 : i % 7)),
    },
  });

  it('keeps within the bound, with the ends and the peaks', () => {
    const thinned = thin(long(10_000), 100);
    expect(thinned.step.length).toBeLessThanOrEqual(100);
    expect(thinned.step.at(0)).toBe(1);
    expect(thinned.step.at(-1)).toBe(10_000);
    expect(thinned.columns.reward).toContain(99);
    expect(thinned.columns.reward).toContain(-99);
  });

  it('keeps columns as long as steps, in order, for any length and gaps', () => {
    const column = fc.array(fc.option(fc.float({ noNaN: true })), { maxLength: 300 });
    fc.assert(
      fc.property(column, fc.integer({ min: 4, max: 60 }), (reward, points) => {
        const step = reward.map((_, i) => i);
        const thinned = thin({ step, columns: { reward } }, points);
        expect(thinned.columns.reward).toEqual(thinned.step.map((i) => reward[i]));
        expect(thinned.step).toEqual([...thinned.step].sort((a, b) => a - b));
        expect(thinned.step.length).toBeLessThanOrEqual(points);
      }),
    );
  });

  it('appends a column that appears late with gaps before it, and no step twice', () => {
    const one = append({ step: [], columns: {} }, 1, { reward: 1 });
    const two = append(one, 2, { reward: 2, kl: 0.5 });
    expect(two).toEqual({ step: [1, 2], columns: { reward: [1, 2], kl: [null, 0.5] } });
    expect(append(two, 2, { reward: 9 })).toBe(two);
  });

  it('reads the numbers of a step event under their stable names', () => {
    const event = {
      kind: 'step',
      step: 3,
      reward: 1,
      bestPrompt: 'x',
      quantities: { kl: 2, loss: null },
    };
    expect(valuesOf(event)).toEqual({ reward: 1, kl: 2 });
  });
});

describe('a run as it goes', () => {
  const start = {
    detail: { lineage: [], warnings: [] },
    track: { step: [], columns: {} },
    validation: [],
    lastSeq: 5,
  } as unknown as LiveRun;
  const step = (seq: number, at: number, bestPrompt: string) => ({
    seq,
    time: '2026-11-25T00:00:00Z',
    event: { kind: 'step', step: at, reward: at, bestPrompt, bestReward: at },
  });

  it('takes events once, in order, and grows the lineage only when another prompt is best', () => {
    const entries = [step(6, 1, 'a'), step(7, 2, 'a'), step(7, 2, 'a'), step(8, 3, 'b')];
    const { track, detail, lastSeq } = entries.reduce(withEntry, start);
    expect(track.step).toEqual([1, 2, 3]);
    expect(detail.lineage.map(({ prompt }) => prompt)).toEqual(['a', 'b']);
    expect(lastSeq).toBe(8);
    expect(withEntry(start, step(5, 1, 'old'))).toBe(start);
  });
});

describe('charts', () => {
  it('pan and zoom stay inside what there is', () => {
    expect(pan([0, 10], -1, [0, 100])).toEqual([0, 10]);
    expect(pan([90, 100], 0.5, [0, 100])).toEqual([90, 100]);
    expect(zoom([0, 100], { factor: 0.5 }, [0, 100])).toEqual([25, 75]);
    expect(zoom([25, 75], { factor: 3 }, [0, 100])).toBeUndefined();
  });
});

describe('differences', () => {
  it('mark words, and say the whole of both texts', () => {
    const changes = wordDiff('It was the food', 'It is the food.');
    expect(
      changes
        .filter(({ kind }) => kind !== 'added')
        .map(({ text }) => text)
        .join(''),
    ).toBe('It was the food');
    expect(
      changes
        .filter(({ kind }) => kind !== 'removed')
        .map(({ text }) => text)
        .join(''),
    ).toBe('It is the food.');
    expect(kinship('It was the food', 'it is the food.')).toBe(0.75);
    expect(kinship('', '')).toBe(0);
  });
});

describe('numbers', () => {
  it('read as people write them', () => {
    expect([duration(42), duration(151), duration(3900)]).toEqual([
      '42 s',
      '2 min 31 s',
      '1 h 05 min',
    ]);
    expect([number(0.0000123), number(0.5), number(12), number(54_656)]).toEqual([
      '1.2e-5',
      '0.500',
      '12',
      '54,656',
    ]);
    expect([bytes(999), bytes(93_800_000)]).toEqual(['999 bytes', '93.8 MB']);
    expect([pValue(0.0004), pValue(0.032)]).toEqual(['p < 0.001', 'p = 0.032']);
    expect(ago('2026-11-25T10:00:00Z', Date.parse('2026-11-25T10:05:00Z'))).toBe('5 min ago');
    expect([sentence('maxExamples'), sentence('taskLm')]).toEqual(['Max examples', 'Task LM']);
  });
});
