import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { thinned } from '../util/measured.ts';
import type { RunEvent } from './events.ts';
import { joined, summaryOf } from './series-table.ts';
import { sqliteDriver } from './sqlite.ts';
import { openStore, type RunStore } from './store.ts';

let folder: string;
let store: RunStore;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'whetstone-series-'));
  store = await openStore(folder);
});
afterAll(() => {
  store.close();
  rmSync(folder, { recursive: true, force: true });
});

const newRun = () =>
  store.createRun({ method: 'm', config: {}, seed: 1, versions: {}, hashes: {} });

function step(at: number, reward: number, quantities: Record<string, number> = {}): RunEvent {
  const figures = { bestReward: 0, promptsPerSecond: 1, evaluations: at };
  return { kind: 'step', step: at, reward, bestPrompt: 'p', ...figures, quantities };
}

function look(at: number, score: number): RunEvent {
  const validation = { score, interval: [0, 1] as const, examples: 4 };
  return { kind: 'validation', prompt: 'p', validation, step: at };
}

/** A long flat run with one peak in each of two measures, at different steps. */
const flat = (length: number) =>
  Array.from({ length }, (_, i) =>
    step(i + 1, i === 4321 ? 9 : 0.5, { loss: i === 1234 ? -7 : (i % 5) / 100 }),
  );

describe('the series of a run', () => {
  it('keeps the peak of every measure of a long run, where it stood', () => {
    const run = newRun();
    store.appendEvents(run, flat(5000));
    const { steps, measures } = store.queries.series(run, 50);
    expect(steps).toBe(5000);
    const at = (
      { step, value }: { step: readonly number[]; value: readonly number[] },
      v: number,
    ) => step[value.indexOf(v)];
    expect(at(measures.reward!, 9)).toBe(4322);
    expect(at(measures.loss!, -7)).toBe(1235);
    for (const { step } of Object.values(measures)) expect(step.length).toBeLessThanOrEqual(50);
  });

  it('has first, last, least and greatest of all that was recorded, and nothing else', () => {
    const kinds = fc.constantFrom('step', 'step', 'step', 'look', 'said');
    const events = fc.array(fc.tuple(kinds, fc.integer({ min: -9, max: 9 })), {
      minLength: 1,
      maxLength: 1200,
      size: 'max',
    });
    const points = fc.integer({ min: 4, max: 16 });
    const batches = fc.array(fc.integer({ min: 1, max: 700 }), { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(events, points, batches, (given, most, sizes) => {
        const all = given.map(([kind, value], i): RunEvent => {
          if (kind === 'look') return look(i, value);
          return kind === 'step' ? step(i, value) : { kind: 'warning', message: 'm' };
        });
        const run = newRun();
        for (let at = 0, n = 0; at < all.length; n++) {
          const size = sizes[n % sizes.length]!;
          store.appendEvents(run, all.slice(at, at + size));
          at += size;
        }
        const { steps, measures } = store.queries.series(run, most);
        expect(steps).toBe(given.filter(([kind]) => kind === 'step').length);
        for (const [name, kind] of [
          ['reward', 'step'],
          ['validation', 'look'],
        ] as const) {
          const recorded = given.flatMap(([one, value], i) => (one === kind ? [[i, value]] : []));
          const shown = measures[name]?.step.map((at, i) => [at, measures[name]!.value[i]]) ?? [];
          expect(shown.length).toBeLessThanOrEqual(most);
          expect(shown.map(([at]) => at)).toEqual(
            [...shown.map(([at]) => at)].sort((a, b) => a! - b!),
          );
          for (const [at, value] of shown) expect(given[at!]).toEqual([kind, value]);
          if (recorded.length === 0) continue;
          const ends = [recorded.at(0), recorded.at(-1)];
          if (kind === 'step') expect([shown.at(0), shown.at(-1)]).toEqual(ends);
          const peaks = (pairs: readonly (readonly (number | undefined)[])[]) =>
            [Math.min, Math.max].map((pick) => pick(...pairs.map(([, value]) => value!)));
          expect(peaks(shown)).toEqual(peaks(recorded));
        }
      }),
      { numRuns: 12 },
    );
  });

  it('is all there is of a short run', () => {
    const run = newRun();
    store.appendEvents(run, flat(40));
    expect(store.queries.series(run, 50).measures).toEqual(summaryOf(flat(40)).measures);
  });

  it('is the same whether events come one by one or all at once', () => {
    const [one, many] = [newRun(), newRun()];
    for (const event of flat(130)) store.appendEvent(one, event);
    store.appendEvents(many, flat(130));
    expect(store.queries.series(one, 4)).toEqual(store.queries.series(many, 4));
  });

  it('of a branch holds what the parent had up to there', () => {
    const [parent, alike] = [newRun(), newRun()];
    store.appendEvents(parent, flat(3000));
    store.appendEvents(alike, flat(1500));
    const run = { method: 'm', config: {}, seed: 1, versions: {}, hashes: {} };
    const branch = store.copyRun(parent, run, { eventSeq: 1500, journalSeq: 0, step: 1500 });
    expect(store.queries.series(branch, 8)).toEqual(store.queries.series(alike, 8));
    const more = [step(1501, 77)];
    store.appendEvents(branch, more);
    expect(store.queries.series(branch, 8).measures.reward!.value.at(-1)).toBe(77);
  });

  it('of what an earlier version recorded is evenly spaced, until the run goes on', async () => {
    const run = newRun();
    store.appendEvents(run, flat(5000));
    const database = (await sqliteDriver()).open(store.path);
    database.prepare('DELETE FROM series WHERE run = ?').run(run);
    database.close();
    const before = store.queries.series(run, 50);
    expect(before.steps).toBe(5000);
    expect(before.measures.reward!.step.at(-1)).toBe(5000);
    store.appendEvents(run, flat(5032).slice(5000));
    expect(store.queries.series(run, 50).measures.reward!.value).toContain(9);
  });

  it('goes with the run', async () => {
    const run = newRun();
    store.appendEvents(run, flat(100));
    store.finishRun(run, { state: 'paused' });
    store.deleteRun(run);
    const database = (await sqliteDriver()).open(store.path);
    const { n } = database.prepare('SELECT count(*) AS n FROM series WHERE run = ?').get(run) as { n: number }; // biome-ignore format: one line
    database.close();
    expect(n).toBe(0);
  });
});

describe('thinning', () => {
  it('leaves out of a measure what its neighbours in a bucket exceed', () => {
    const value = [0, 1, 5, 2, 3, -4, 2, 1];
    expect(thinned({ step: value.map((_, i) => i), value }, 4)).toEqual({
      step: [0, 2, 5, 7],
      value: [0, 5, -4, 1],
    });
  });

  it('takes no step twice where stretches overlap', () => {
    const twice = joined([
      summaryOf([step(1, 1), step(2, 2)]),
      summaryOf([step(2, 9), step(3, 3)]),
    ]);
    expect(twice.measures.reward).toEqual({ step: [1, 2, 3], value: [1, 2, 3] });
  });
});
