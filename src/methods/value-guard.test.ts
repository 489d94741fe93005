import { describe, expect, it } from 'vitest';
import { createRng } from '../util/rng.ts';
import { type GuardReading, judge, startGuard, type Verdict } from './value-guard.ts';

const healthy: GuardReading = {
  loss: 60,
  gradientNorm: 100,
  qAbsMax: 5,
  reward: 10,
  best: 25,
  deviation: 8,
  duplicates: 0.1,
};

/** Verdicts on a sequence of readings, each given as what differs from a healthy one. */
function verdicts(sequence: readonly Partial<GuardReading>[], restores = 3): Verdict[] {
  let state = startGuard();
  return sequence.map((reading) => {
    const [next, verdict] = judge(state, { ...healthy, ...reading }, { realisable: 40, restores });
    state = next;
    return verdict;
  });
}

const steps = <T>(n: number, f: (i: number) => T): T[] => Array.from({ length: n }, (_, i) => f(i));
const firstOf = (all: readonly Verdict[], kind: Verdict['kind']) =>
  all.findIndex((verdict) => verdict.kind === kind);

describe('value guard', () => {
  it.each([1, 2, 3, 4, 5, 6, 7, 8])('leaves healthy noise alone, seed %i', (seed) => {
    const rng = createRng(seed);
    // Rewards that rise slowly under noise as large as the whole rise, Q-values that settle at 25.
    const sequence = steps(400, (i) => ({
      reward: 10 + 20 * (1 - Math.exp(-i / 100)) + 8 * rng.normal(),
      qAbsMax: 25 * (1 - Math.exp(-i / 80)) + 2 * Math.abs(rng.normal()),
      loss: 60 * Math.exp(rng.normal()),
      gradientNorm: 100 * Math.exp(rng.normal()),
      duplicates: rng.next(),
      deviation: rng.next() < 0.05 ? 0 : 8,
    }));
    expect(verdicts(sequence, 0).filter(({ kind }) => kind !== 'ok')).toEqual([]);
  });

  it('warns of growing Q-values before it restores', () => {
    const all = verdicts(steps(60, (i) => ({ qAbsMax: 5 * 1.1 ** i })));
    expect(firstOf(all, 'warn')).toBeGreaterThan(10);
    expect(firstOf(all, 'restore')).toBeGreaterThan(firstOf(all, 'warn'));
    const warning = all[firstOf(all, 'warn')]!;
    expect(warning).toMatchObject({ sign: 'values', isNew: true });
    expect(warning).toHaveProperty('reason', expect.stringMatching(/grown by 4\d.* to 4\d/));
  });

  it('measures growth from where a prior begins', () => {
    const all = verdicts(steps(30, () => ({ qAbsMax: 90 })));
    expect(all.every(({ kind }) => kind === 'ok')).toBe(true);
  });

  it.each(['loss', 'gradientNorm', 'qAbsMax'] as const)(
    'restores at once when %s is NaN',
    (name) => {
      const all = verdicts([{}, {}, { [name]: Number.NaN }]);
      expect(all.map(({ kind }) => kind)).toEqual(['ok', 'ok', 'restore']);
    },
  );

  it('restores when the policy writes one prompt over and over', () => {
    const all = verdicts(steps(9, (i) => (i < 3 ? {} : { deviation: 0, duplicates: 15 / 16 })));
    expect(all.map(({ kind }) => kind)).toEqual([
      ...['ok', 'ok', 'ok', 'ok', 'ok', 'warn', 'warn', 'warn', 'restore'],
    ]);
  });

  it('takes a policy that has settled on the best prompt it found for converged', () => {
    const settled = { reward: 24.5, best: 24.5, deviation: 0, duplicates: 15 / 16 };
    const all = verdicts([...steps(12, () => ({})), ...steps(20, () => settled)]);
    expect(all.every(({ kind }) => kind === 'ok')).toBe(true);
  });

  it('takes equal rewards of different prompts for a coarse reward, not for collapse', () => {
    const all = verdicts(steps(20, () => ({ deviation: 0, duplicates: 0.1 })));
    expect(firstOf(all, 'warn')).toBe(-1);
  });

  it('restores when the reward has fallen back to where it began', () => {
    const rng = createRng(3);
    const all = verdicts(
      steps(90, (i) => ({ reward: (i < 20 ? 10 : i < 50 ? 60 : 10) + 5 * rng.normal() })),
    );
    expect(firstOf(all, 'warn')).toBeGreaterThan(50);
    expect(firstOf(all, 'restore')).toBeGreaterThan(firstOf(all, 'warn'));
    expect(firstOf(all, 'restore')).toBeLessThan(65);
  });

  it.each([Number.NaN, Number.POSITIVE_INFINITY])('learns nothing from a reward of %d', (none) => {
    const unknown = { reward: none, best: none };
    const alike = { deviation: 0, duplicates: 15 / 16 };
    const collapsing = verdicts(steps(10, (i) => (i === 2 ? unknown : i < 4 ? {} : alike)));
    expect(firstOf(collapsing, 'restore')).toBe(9);
    const falling = steps(60, (i) => (i === 5 ? unknown : { reward: i < 20 || i >= 40 ? 10 : 60 }));
    expect(firstOf(verdicts(falling), 'restore')).toBeGreaterThan(40);
  });

  it('restores so often and no more, then warns', () => {
    const all = verdicts(
      steps(10, () => ({ loss: Number.POSITIVE_INFINITY })),
      2,
    );
    expect(all.map(({ kind }) => kind)).toEqual(['restore', 'restore', ...steps(8, () => 'warn')]);
  });

  it('says the same trouble once until it has been quiet', () => {
    const grown = { qAbsMax: 60 };
    const all = verdicts([{}, grown, grown, {}, grown, ...steps(10, () => ({})), grown]);
    const news = all.map((verdict) => verdict.kind === 'warn' && verdict.isNew);
    expect(news.flatMap((isNew, i) => (isNew ? [i] : []))).toEqual([1, 15]);
  });
});
