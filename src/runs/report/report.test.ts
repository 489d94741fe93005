/** The report of a comparison: what it claims, and that no prompt can break out of it. */
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { createRng } from '../../util/rng.ts';
import type { Compared } from '../compare.ts';
import { analyse } from '../compare-analysis.ts';
import { isClear, leaderFirst, points } from '../compare-pairs.ts';
import { planOf } from '../compare-plan.ts';
import type { StoredCell } from '../comparison-table.ts';
import { parseConfig } from '../config.ts';
import { nothingAsked } from '../ledger.ts';
import { openStore, type RunStore } from '../store.ts';
import { meanCurve, niceTicks } from './charts.ts';
import { htmlPrompt, markdown, markdownPrompt } from './escape.ts';
import { writeReport } from './report.ts';

const EVIL = '<script>alert(1)</script>\u0000\u202eevil\u200b "x" & `tick` | \u001b[31m </code>';
const EXAMPLES = 400;
const gold = Array.from({ length: EXAMPLES }, (_, e) => e % 2);

interface CellParts {
  readonly method: string;
  readonly repetition: number;
  /** Chance of a hit. */
  readonly skill: number;
  readonly prompt?: string;
}

/** Hits are drawn by repetition, so that methods are right on the same examples where they can. */
function cellOf({ method, repetition, skill, prompt = 'It was' }: CellParts): StoredCell {
  const rng = createRng(`hits ${repetition}`);
  const hits = gold.map(() => (rng.next() < skill ? 1 : 0));
  const score = { score: skill, interval: [skill - 0.1, skill + 0.1] as const, examples: 16 };
  return {
    method,
    repetition,
    state: 'done',
    outcome: {
      found: {
        kind: 'result',
        method,
        kindOfResult: 'text',
        prompt,
        promptTokens: [],
        train: score,
        validation: score,
        evaluations: method === 'manual' ? 100 : 1000,
        seconds: 2,
        runId: '',
      },
      trainReward: 1,
      test: { hash: 'h', hits, gold },
    },
  };
}

function comparedOf(cells: readonly StoredCell[], seeds = 5): Compared {
  const config = parseConfig('task: { name: "<b>name", data: a.csv }');
  const loaded = { config, path: '/x/w.yaml', folder: '/x' };
  const methods = [...new Set(cells.map(({ method }) => method))];
  const examples = { train: 16, validation: 16, test: EXAMPLES };
  return {
    ledger: nothingAsked,
    id: 'id',
    plan: planOf(loaded, { methods, seeds }),
    cells,
    hashes: { 'a.csv': 'f00' },
    about: { task: '<b>name', taskLm: 'lm', policyLm: 'lm', examples },
  };
}

/** The cell with a run of one step in the store. */
function withRun(store: RunStore, cell: StoredCell): StoredCell {
  const versions = { whetstone: '0' };
  const run = store.createRun({ method: cell.method, config: {}, seed: 1, versions, hashes: {} });
  store.appendEvent(run, {
    kind: 'step',
    step: 1,
    reward: 1,
    bestPrompt: '',
    bestReward: 2,
    promptsPerSecond: 1,
    evaluations: 50,
  });
  return { ...cell, run };
}

const grid = (skills: Record<string, number>, seeds = 5) =>
  Array.from({ length: seeds }, (_, repetition) =>
    Object.entries(skills).map(([method, skill]) => cellOf({ method, repetition, skill })),
  ).flat();

describe('verdict', () => {
  it('names a winner where differences are clear', () => {
    const { verdict, pairs, rows } = analyse(
      comparedOf(grid({ manual: 0.6, random: 0.5, 'soft-q': 0.8 })),
    );
    expect(verdict[0]).toMatch(/^soft-q is best: .*more than noise above manual and random\.$/);
    expect(pairs.map(({ a, b }) => `${a} ${b}`)).toEqual([
      'manual random',
      'manual soft-q',
      'random soft-q',
    ]);
    for (const { difference, interval, pAdjusted, p, pRepetitions } of pairs) {
      expect(interval[0]).toBeLessThan(difference);
      expect(interval[1]).toBeGreaterThan(difference);
      expect(pAdjusted).toBeGreaterThanOrEqual(p);
      expect(pRepetitions).toBeCloseTo(2 / 2 ** 5, 12); // all five repetitions agree
    }
    expect(rows[0]!.seeds).toEqual([1, 2, 3, 4, 5]);
  });

  it('names none inside the noise, and says what was cheapest', () => {
    const { verdict, pairs } = analyse(comparedOf(grid({ manual: 0.7, 'soft-q': 0.703 }, 2), 2));
    expect(verdict[0]).toMatch(/^No winner: .* lies inside the noise/);
    expect(verdict.join(' ')).toContain('manual took the fewest evaluations (100 a run)');
    expect(verdict.at(-1)).toContain('With 2 repetitions');
    expect(pairs[0]).not.toHaveProperty('pRepetitions');
  });

  it('calls equal answers equal', () => {
    const { verdict, pairs } = analyse(comparedOf(grid({ manual: 0.7, random: 0.7 }, 2), 2));
    expect(verdict[0]).toMatch(/^No winner: manual and random share the highest mean/);
    expect(pairs[0]).toMatchObject({ difference: 0, interval: [0, 0], p: 1, pAdjusted: 1 });
  });

  it('counts an example once, however many repetitions saw it', () => {
    // The same answers five times over are no more evidence than once.
    const same = (seeds: number) =>
      Array.from({ length: seeds }, (_, repetition) => [
        { ...cellOf({ method: 'manual', repetition: 0, skill: 0.7 }), repetition },
        { ...cellOf({ method: 'random', repetition: 0, skill: 0.68 }), repetition },
      ]).flat();
    const [once] = analyse(comparedOf(same(1), 1)).pairs;
    const [often] = analyse(comparedOf(same(5), 5)).pairs;
    expect(often!.p).toBe(once!.p);
  });

  it('compares on what both finished, and nothing with a method that failed', () => {
    const cells = grid({ manual: 0.7, random: 0.6 }, 2);
    const failed: StoredCell = { ...cells[1]!, state: 'failed', error: 'it broke' };
    const { rows, pairs } = analyse(comparedOf([cells[0]!, failed, ...cells.slice(2)], 2));
    expect(rows.map(({ seeds }) => seeds)).toEqual([[1, 2], [2]]);
    expect(pairs[0]!.repetitions).toBe(1);
    const none = cells.map((cell) => (cell.method === 'random' ? { ...failed, ...cell, state: 'failed' as const } : cell)); // biome-ignore format: one call
    // No repetition in common: not equal, not better, but not compared.
    const apart = [cells[0]!, { ...failed, repetition: 0 }, { ...failed, method: 'manual', repetition: 1 }, cells[3]!]; // biome-ignore format: one value
    const { verdict } = analyse(comparedOf(apart, 2));
    expect(verdict[0]).toBe('No two methods can be compared: too many runs failed.');
    expect(verdict[1]).toContain('manual and random came to an end in no repetition together');
    const without = analyse(comparedOf(none, 2));
    expect(without.pairs).toEqual([]);
    expect(without.rows[1]!.test).toBeNull();
    expect(without.verdict).toContain('Of random no run came to an end.');
  });

  it('names no winner that is behind where both came to an end', () => {
    // The second repetition is hard, and one of the two failed on it.
    const cells = [
      cellOf({ method: 'manual', repetition: 0, skill: 0.7 }),
      cellOf({ method: 'random', repetition: 0, skill: 0.85 }),
      { method: 'manual', repetition: 1, state: 'failed' as const, error: 'it broke' },
      cellOf({ method: 'random', repetition: 1, skill: 0.2 }),
    ];
    const { verdict } = analyse(comparedOf(cells, 2));
    expect(verdict[0]).toMatch(
      /^No winner: manual has the highest mean, .* but where both came to an end random is ahead of it by more than noise\.$/,
    );
    expect(verdict[1]).toMatch(/^The lead of random: \+1/);
    const near = cells.map((cell) =>
      cell.method === 'random' && cell.repetition === 0
        ? cellOf({ method: 'random', repetition: 0, skill: 0.702 })
        : cell,
    );
    expect(analyse(comparedOf(near, 2)).verdict[1]).toMatch(
      /^Where both came to an end, random is ahead: \+/,
    );
  });

  it('waits until all runs have ended', () => {
    const cells = grid({ manual: 0.8, random: 0.5 }, 2);
    for (const some of [cells.slice(0, 3), [...cells.slice(0, 3), { ...cells[3]!, state: 'untested' as const }]]) // biome-ignore format: one list
      expect(analyse(comparedOf(some, 2)).verdict).toEqual([
        'No verdict yet: 3 of 4 runs have ended.',
      ]);
  });

  it('says when few repetitions are common, though each method has many', () => {
    const broken = (cell: StoredCell): StoredCell => ({ ...cell, state: 'failed', error: 'x' });
    const cells = grid({ manual: 0.8, random: 0.5 }, 8).map((cell) =>
      (cell.method === 'manual' ? cell.repetition > 4 : cell.repetition < 3) ? broken(cell) : cell,
    );
    const { verdict } = analyse(comparedOf(cells, 8));
    expect(verdict.join(' ')).toContain('With 2 repetitions');
    expect(verdict.join(' ')).toContain('Some runs failed');
  });

  it('counts splits, not seeds on them', () => {
    const cells = grid({ manual: 0.8, random: 0.5 }, 6);
    const compared = comparedOf(cells, 6);
    const repetitions = cells
      .filter(({ method }) => method === 'manual')
      .map((_, r) => ({ seed: 1 + (r % 3), split: r < 3 ? 'a' : 'b' }));
    const { pairs, verdict } = analyse({ ...compared, plan: { ...compared.plan, repetitions } });
    expect(pairs[0]).toMatchObject({ repetitions: 2 });
    expect(pairs[0]).not.toHaveProperty('pRepetitions');
    expect(verdict.at(-1)).toContain('With 2 splits');
  });

  it('leaves out for all what some prompt has no score for, and says so', () => {
    const cells = grid({ manual: 0.7, random: 0.6 }, 1);
    const [first, second] = cells as [StoredCell, StoredCell];
    const { test } = first.outcome!;
    // Where there is no answer there is no hit; as answers they would count as wrong.
    const hits = test!.hits.map((hit, e) => (e < 20 ? 0 : hit));
    const unanswered = Array.from({ length: 20 }, (_, e) => e);
    const holed = {
      ...first,
      outcome: { ...first.outcome!, test: { ...test!, hits, unanswered } },
    };
    const { rows, verdict } = analyse(comparedOf([holed, second], 1));
    const mean = (all: readonly number[]) =>
      all.slice(20).reduce((a, b) => a + b, 0) / (EXAMPLES - 20);
    expect(rows[0]!.test!.mean).toBeCloseTo(mean(test!.hits), 12);
    expect(rows[1]!.test!.mean).toBeCloseTo(mean(second.outcome!.test!.hits), 12);
    expect(verdict.at(-1)).toBe(
      '20 test examples have no score with some prompt and are left out for all.',
    );
  });

  it('has the same p in whichever order methods were asked for', () => {
    const cells = grid({ manual: 0.7, random: 0.66 }, 2);
    const [there] = analyse(comparedOf(cells, 2)).pairs;
    const [back] = analyse(comparedOf([...cells].reverse(), 2)).pairs;
    expect([there!.a, back!.a]).toEqual(['manual', 'random']);
    expect(back!.p).toBe(there!.p);
  });
});

describe('files', () => {
  let html: string;
  let text: string;
  beforeAll(async () => {
    const folder = await mkdtemp(join(tmpdir(), 'whetstone-report-'));
    const store = await openStore(folder);
    const made = (cell: StoredCell) => withRun(store, cell);
    const cells = [
      made(cellOf({ method: 'manual', repetition: 0, skill: 0.7, prompt: EVIL })),
      made(cellOf({ method: 'random', repetition: 0, skill: 0.6 })),
      made({ method: 'soft-q', repetition: 0, state: 'failed', error: `broke on ${EVIL}` }),
    ];
    const { result } = await writeReport(comparedOf(cells, 1), store, join(folder, 'out'));
    html = await readFile(result.report.html, 'utf8');
    text = await readFile(result.report.markdown, 'utf8');
    store.close();
  });

  it('says what the runs cost, and where a price is not known', async () => {
    const priced = (method: string, usd: number | null) => {
      const cell = cellOf({ method, repetition: 0, skill: 0.8 });
      const ledger = { ...nothingAsked, calls: 10, usd };
      const found = { ...cell.outcome!.found, ledger };
      return { ...cell, outcome: { ...cell.outcome!, found } };
    };
    const folder = await mkdtemp(join(tmpdir(), 'whetstone-report-'));
    const store = await openStore(folder);
    const cells = [priced('manual', 1.25), priced('random', null)];
    const compared = comparedOf(
      cells.map((cell) => withRun(store, cell)),
      1,
    );
    const { rows } = analyse(compared);
    expect(rows.map(({ usd }) => usd)).toEqual([1.25, null]);
    const { report } = (await writeReport(compared, store, join(folder, 'out'))).result;
    store.close();
    const twin = await readFile(report.markdown, 'utf8');
    for (const text of [await readFile(report.html, 'utf8'), twin]) {
      expect(text).toContain('$1.25');
      expect(text).toContain('not known');
      expect(text).not.toContain('no money was spent');
    }
    expect(twin).toContain('1 repetition each');
  });

  it('are one file each, without scripts or anything to load', () => {
    expect(html).not.toMatch(/<script|<link|<img|src=|https?:|url\(/i);
    expect(html).toContain("default-src 'none'");
    expect(html.match(/<svg/g)!.length).toBeGreaterThan(3);
  });

  it('escape every text of a model and show what does not show', () => {
    for (const file of [html, text]) {
      for (const odd of ['\u0000', '\u001b', '\u202e', '\u200b']) expect(file).not.toContain(odd);
    }
    expect(html).toContain('&lt;script&gt;alert(1)&lt;/script&gt;<i class="odd">U+0000</i>');
    expect(html).toContain('&lt;b&gt;name');
    expect(html).not.toContain('<b>name');
    expect(text).toContain('``  <script>'.replace('  ', ' '));
    expect(text).toContain('# Comparison: \\<b\\>name');
  });

  it('name failures with their cause', () => {
    expect(html).toContain('Runs that failed');
    expect(text).toContain('- soft-q, seed 1: broke on');
  });
});

describe('pieces', () => {
  it('htmlPrompt marks odd characters', () => {
    expect(htmlPrompt('a\u200bb<\n')).toBe('a<i class="odd">U+200B</i>b&lt;<i class="odd">⏎</i>');
    expect(htmlPrompt('é 好 😀')).toBe('é 好 😀');
  });

  it('markdown code spans hold backticks and pipes', () => {
    expect(markdownPrompt('a `b` | c')).toBe('`` a `b` \\| c ``');
    expect(markdown('[x](y) <b>')).toBe('\\[x\\](y) \\<b\\>');
  });

  it('a difference of 0 is no difference, however it was summed up', () => {
    const pair = { a: 'x', b: 'y', difference: 0.1, p: 0.01, pAdjusted: 0.01 };
    expect(isClear({ ...pair, interval: [0.1 - 0 + 0.2 - 0.3, 0.2] })).toBe(false);
    expect(isClear({ ...pair, interval: [0.001, 0.2] })).toBe(true);
  });

  it('pairs are turned to the leader', () => {
    const pair = { a: 'x', b: 'y', difference: -0.02, interval: [-0.05, 0.01] as const, p: 1, pAdjusted: 1 }; // biome-ignore format: one value
    expect(leaderFirst(pair)).toMatchObject({ a: 'y', b: 'x', interval: [-0.01, 0.05] });
    expect([0.0204, -0.02, 0, -0.0001].map(points)).toEqual(['+2.0', '−2.0', '0.0', '0.0']);
  });

  it('mean curves hold the last value of a run that ended early', () => {
    const curve = meanCurve([[[0, 0], [10, 10]], [[0, 4]]], 3); // biome-ignore format: one call
    expect(curve).toEqual([[0, 2], [5, 2], [10, 7]]); // biome-ignore format: one value
    expect(meanCurve([[]])).toEqual([]);
  });

  it('ticks are round and span the values, also of a constant', () => {
    expect(niceTicks(0.31, 0.72, 5)).toEqual([0.3, 0.4, 0.5, 0.6, 0.7, 0.8]);
    expect(niceTicks(0.5, 0.5, 5).length).toBeGreaterThan(1);
  });
});
