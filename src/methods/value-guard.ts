/**
 * Watches value learning and says `ok`, `warn` or `restore` each step. It is pure: a state and a
 * reading in, a state and a verdict out. What it does not do: keep snapshots (snapshots.ts) or learn.
 *
 * Signs:
 *   number    the loss, its gradient or a Q-value is not finite: restores at once
 *   values    max|Q| has grown by more than values can be worth: warns; by twice that: restores
 *   collapse  prompts repeat, with one reward below the best that was found: 3 steps in a row: warns;
 *             6: restores
 *   reward    half of what the mean reward had gained is lost: warns; 90%: restores
 *
 * Source of `values`: "soft divergence", values beyond what any return can be, van Hasselt et al. 2018,
 * arXiv 1812.02648; here the bound is max|r| + T·ln A, docs/methods/soft-q.md.
 */

export interface GuardReading {
  readonly loss: number;
  readonly gradientNorm: number;
  /** Largest |Q| of the step. */
  readonly qAbsMax: number;
  /** Mean reward of the step's own prompts, as the environment gave it. */
  readonly reward: number;
  /** Best of those rewards. */
  readonly best: number;
  /** Deviation of those rewards. */
  readonly deviation: number;
  /** Share of the step's prompts that repeat another. */
  readonly duplicates: number;
}

export interface GuardOptions {
  /** Growth of |Q| beyond which no return can be. */
  readonly realisable: number;
  /** Most restores; after them it only warns. */
  readonly restores: number;
}

export type Sign = 'number' | 'values' | 'collapse' | 'reward';

export type Verdict =
  | { readonly kind: 'ok' }
  | {
      readonly kind: 'warn' | 'restore';
      readonly sign: Sign;
      /** What was seen, with figures. */
      readonly reason: string;
      /** False while the same trouble goes on, or comes back within a few steps. */
      readonly isNew: boolean;
    };

export interface GuardState {
  readonly restored: number;
  /** Mean rewards of the last steps, at most `WINDOW`. */
  readonly recent: readonly number[];
  /** |Q| at the start, the prior's own. */
  readonly startQ: number | undefined;
  /** Mean reward of the first window, and the deviation of its steps. */
  readonly floor: { readonly mean: number; readonly noise: number } | undefined;
  /** Best mean reward of a window. */
  readonly best: number;
  /** Best reward of any prompt so far. */
  readonly bestTried: number;
  /** Steps in a row whose prompts repeated with one reward. */
  readonly alike: number;
  /** Troubles that were reported and the steps since they were last seen. */
  readonly seen: Readonly<Record<string, number>>;
}

/** Steps over which rewards are averaged: a single batch of 16 is too noisy to judge by. */
const WINDOW = 10;
/** Gains and losses are believed beyond so many deviations of the first steps' mean rewards. */
const BELIEF = 3;

export function startGuard(): GuardState {
  return {
    restored: 0,
    recent: [],
    startQ: undefined,
    floor: undefined,
    best: Number.NEGATIVE_INFINITY,
    bestTried: Number.NEGATIVE_INFINITY,
    alike: 0,
    seen: {},
  };
}

/** The verdict on one step, and the state for the next. */
export function judge(
  before: GuardState,
  reading: GuardReading,
  options: GuardOptions,
): [GuardState, Verdict] {
  const state = take(before, reading);
  const found = findings(state, reading, options);
  const worst = found.find(({ restores }) => restores) ?? found[0];
  if (!worst) return [state, { kind: 'ok' }];
  const { sign, reason } = worst;
  if (worst.restores && state.restored < options.restores) {
    // The windows begin anew: they were filled by the state that is left behind.
    const after = { ...state, restored: state.restored + 1, recent: [], alike: 0, seen: {} };
    return [after, { kind: 'restore', sign, reason, isNew: true }];
  }
  const trouble = `${sign}, ${worst.restores ? 'bad' : 'early'}`;
  const isNew = (state.seen[trouble] ?? WINDOW) >= WINDOW;
  const seen = { ...state.seen, [trouble]: 0 };
  return [
    { ...state, seen },
    { kind: 'warn', sign, reason, isNew },
  ];
}

/** The state with a reading in it; a reward that is not finite says nothing. */
function take(state: GuardState, reading: GuardReading) {
  const { qAbsMax, reward, best, deviation, duplicates } = reading;
  const known = Number.isFinite(reward) ? [reward] : [];
  const recent = [...state.recent, ...known].slice(-WINDOW);
  const isFull = recent.length === WINDOW;
  const mean = average(recent);
  const noise = Math.sqrt(average(recent.map((x) => (x - mean) ** 2)));
  return {
    ...state,
    recent,
    startQ: state.startQ ?? qAbsMax,
    floor: state.floor ?? (isFull ? { mean, noise } : undefined),
    bestTried: Number.isFinite(best) ? Math.max(state.bestTried, best) : state.bestTried,
    best: isFull ? Math.max(state.best, mean) : state.best,
    seen: Object.fromEntries(Object.entries(state.seen).map(([name, n]) => [name, n + 1])),
    alike: deviation === 0 && duplicates >= 0.5 ? state.alike + 1 : 0,
  };
}

interface Finding {
  readonly sign: Sign;
  readonly reason: string;
  readonly restores: boolean;
}

function findings(
  { startQ, recent, floor, best, bestTried, alike }: GuardState,
  { loss, gradientNorm, qAbsMax, reward, duplicates }: GuardReading,
  { realisable }: GuardOptions,
): Finding[] {
  const found: Finding[] = [];
  if (![loss, gradientNorm, qAbsMax].every(Number.isFinite)) {
    const reason = `the loss is ${loss}, the norm of its gradient ${gradientNorm}, the largest |Q| ${qAbsMax}`;
    return [{ sign: 'number', reason, restores: true }];
  }
  const growth = qAbsMax - startQ!;
  if (growth > realisable) {
    const reason = `the largest |Q| has grown by ${show(growth)} to ${show(qAbsMax)}, rewards can account for ${show(realisable)}`;
    found.push({ sign: 'values', reason, restores: growth > 2 * realisable });
  }
  // Settled on the best prompt there was to find, it has converged.
  const start = floor?.mean ?? recent[0]!;
  const isBelow = reward < bestTried - (bestTried - start) / 10;
  if (alike >= 3 && isBelow) {
    const reason = `${alike} steps in a row had one reward, ${show(reward)} where ${show(bestTried)} was found, and ${show(100 * duplicates)}% repeated prompts`;
    found.push({ sign: 'collapse', reason, restores: alike >= 6 });
  }
  if (floor && recent.length === WINDOW) {
    const mean = average(recent);
    const gain = best - floor.mean;
    const isBelieved = Math.min(gain, best - mean) > BELIEF * floor.noise;
    if (isBelieved && mean < floor.mean + gain / 2) {
      const reason = `the mean reward of ${WINDOW} steps fell to ${show(mean)}, it had risen from ${show(floor.mean)} to ${show(best)}`;
      found.push({ sign: 'reward', reason, restores: mean < floor.mean + gain / 10 });
    }
  }
  return found;
}

function average(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

function show(x: number): string {
  return String(Number(x.toPrecision(3)));
}
