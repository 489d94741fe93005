/** The page's parts that need no browser: texts, numbers, addresses, thinning, differences. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { type Measured, stepNumbers, thinned } from '../../src/util/measured.ts';
import { distinct } from './charts/ticks.ts';
import { createViewport, pan, zoom } from './charts/viewport.ts';
import { kinship, wordDiff } from './diff.ts';
import { ago, bytes, duration, number, pValue, share } from './format.ts';
import { type LiveRun, withEntry } from './live.ts';
import { hrefOf, parseRoute } from './router.ts';
import { append, type Track } from './thin.ts';
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
  const long = (length: number): Measured => ({
    step: Array.from({ length }, (_, i) => i + 1),
    value: Array.from({ length }, (_, i) => (i === 777 ? 99 : i === 123 ? -99 : i % 7)),
  });

  it('keeps within the bound, with the ends and the peaks', () => {
    const { step, value } = thinned(long(10_000), 100);
    expect(step.length).toBeLessThanOrEqual(100);
    expect(step.at(0)).toBe(1);
    expect(step.at(-1)).toBe(10_000);
    expect(step[value.indexOf(99)]).toBe(778);
    expect(step[value.indexOf(-99)]).toBe(124);
  });

  it('keeps values at their steps, in order, for any length', () => {
    const values = fc.array(fc.float({ noNaN: true }), { maxLength: 300 });
    fc.assert(
      fc.property(values, fc.integer({ min: 4, max: 60 }), (given, points) => {
        const { step, value } = thinned({ step: given.map((_, i) => i), value: given }, points);
        expect(value).toEqual(step.map((i) => given[i]));
        expect(step).toEqual([...step].sort((a, b) => a - b));
        expect(step.length).toBeLessThanOrEqual(points);
      }),
    );
  });

  it('appends a measure that appears late at its own steps, and no step twice', () => {
    const one = append({}, 1, { reward: 1 });
    const two = append(one, 2, { reward: 2, kl: 0.5 });
    expect(two).toEqual({
      reward: { step: [1, 2], value: [1, 2] },
      kl: { step: [2], value: [0.5] },
    });
    expect(append(two, 2, { reward: 9 })).toBe(two);
  });

  it('keeps what grows within twice the bound, each measure with its own peak', () => {
    let track: Track = {};
    for (let at = 1; at <= 3000; at++) {
      track = append(track, at, { reward: at === 500 ? 9 : 0, loss: at === 700 ? -9 : 0 });
    }
    for (const { step } of Object.values(track)) expect(step.length).toBeLessThanOrEqual(1600);
    expect(track.reward!.value).toContain(9);
    expect(track.loss!.value).toContain(-9);
  });

  it('reads the numbers of a step event under their stable names', () => {
    const event = {
      kind: 'step',
      step: 3,
      reward: 1,
      bestPrompt: 'x',
      quantities: { kl: 2, loss: null },
    };
    expect(stepNumbers(event)).toEqual({ reward: 1, kl: 2 });
  });
});

describe('a run as it goes', () => {
  const start = {
    detail: { lineage: [], warnings: [] },
    track: {},
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
    expect(track.reward!.step).toEqual([1, 2, 3]);
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

describe('charts that move together', () => {
  it('draw the one under the hand in every frame, the others in turn, and all at last', () => {
    const frames: (() => void)[] = [];
    const viewport = createViewport((work) => frames.push(work));
    const next = () => frames.shift()?.();
    const drawn: string[] = [];
    const chart = (name: string) => () => void drawn.push(`${name} ${viewport.stretch}`);
    const [a, b, c] = [chart('a'), chart('b'), chart('c')];
    for (const one of [a, b, c]) viewport.subscribe(one);
    viewport.show([0, 1], b);
    viewport.show([1, 2], b);
    next();
    expect(drawn.splice(0)).toEqual(['b 1,2', 'a 1,2']);
    viewport.show([2, 3], b);
    next();
    expect(drawn.splice(0)).toEqual(['b 2,3', 'c 2,3']);
    while (frames.length > 0) next();
    expect(drawn).toEqual(['a 2,3']);
  });

  it('draw no more once they are gone', () => {
    const frames: (() => void)[] = [];
    const viewport = createViewport((work) => frames.push(work));
    let drawn = 0;
    const leave = viewport.subscribe(() => drawn++);
    viewport.show([0, 1]);
    leave();
    while (frames.length > 0) frames.shift()!();
    expect(drawn).toBe(0);
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
    expect(distinct([1, 2.5], number)).toEqual(['1', '2.50']);
    expect(distinct([23.21, 23.22], number)).toEqual(['23.21', '23.22']);
    expect(distinct([0.99991, 0.99992], share)).toEqual(['99.991%', '99.992%']);
    expect([bytes(999), bytes(93_800_000)]).toEqual(['999 bytes', '93.8 MB']);
    expect([pValue(0.0004), pValue(0.032)]).toEqual(['p < 0.001', 'p = 0.032']);
    expect(ago('2026-11-25T10:00:00Z', Date.parse('2026-11-25T10:05:00Z'))).toBe('5 min ago');
    expect([sentence('maxExamples'), sentence('taskLm')]).toEqual(['Max examples', 'Task LM']);
  });
});
