/**
 * Optimisers as pure functions: a state, gradients in, new parameters and state out. Nothing is
 * changed in place, so a snapshot is a reference and a resumed run goes on exactly. What is stored
 * is float32, each step is computed in float64. Checked against PyTorch's over several steps.
 */
import { ShapeError } from '../errors.ts';
import type { Schedule } from './schedules.ts';

type Floats = Float32Array<ArrayBuffer>;
export type Parameters = Readonly<Record<string, Floats>>;

export interface Optimizer<State> {
  init(parameters: Parameters): State;
  /** @throws ShapeError when a parameter has no gradient of its size */
  update(parameters: Parameters, gradients: Parameters, state: State): [Parameters, State];
}

export interface SgdState {
  readonly step: number;
  /** Running sum of gradients; empty without momentum. */
  readonly velocity: Parameters;
}

export interface SgdOptions {
  readonly learningRate: number | Schedule;
  /** Share of the velocity that stays from step to step. @default 0 */
  readonly momentum?: number;
}

/** Stochastic gradient descent: v ← μv + g, p ← p − ηv, as in PyTorch. */
export function sgd({ learningRate, momentum = 0 }: SgdOptions): Optimizer<SgdState> {
  return {
    init: (parameters) => ({ step: 0, velocity: momentum > 0 ? zerosLike(parameters) : {} }),
    update(parameters, gradients, state) {
      const step = state.step + 1;
      const rate = rateAt(learningRate, step);
      const next: Record<string, Floats> = {};
      const velocity: Record<string, Floats> = {};
      for (const [name, p] of Object.entries(parameters)) {
        const g = gradientOf(gradients, name, p);
        const v = state.velocity[name]?.map((old, i) => momentum * old + g[i]!) ?? g;
        next[name] = p.map((old, i) => old - rate * v[i]!);
        if (momentum > 0) velocity[name] = v;
      }
      return [next, { step, velocity }];
    },
  };
}

export interface AdamState {
  readonly step: number;
  readonly mean: Parameters;
  readonly variance: Parameters;
}

export interface AdamOptions {
  readonly learningRate: number | Schedule;
  /** @default 0.9 */
  readonly beta1?: number;
  /** @default 0.999 */
  readonly beta2?: number;
  /** @default 1e-8 */
  readonly epsilon?: number;
}

/** Adam. Source: arXiv 1412.6980, algorithm 1. */
export function adam(options: AdamOptions): Optimizer<AdamState> {
  return adamw({ ...options, weightDecay: 0 });
}

export interface AdamWOptions extends AdamOptions {
  /** Share of a parameter that a step at rate 1 takes away, apart from the gradient. @default 0.01 */
  readonly weightDecay?: number;
}

/** Adam with decoupled weight decay. Source: arXiv 1711.05101, algorithm 2. */
export function adamw({
  learningRate,
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-8,
  weightDecay = 0.01,
}: AdamWOptions): Optimizer<AdamState> {
  return {
    init: (parameters) => ({
      step: 0,
      mean: zerosLike(parameters),
      variance: zerosLike(parameters),
    }),
    update(parameters, gradients, state) {
      const step = state.step + 1;
      const rate = rateAt(learningRate, step);
      const scale = rate / (1 - beta1 ** step);
      const correction = 1 / (1 - beta2 ** step);
      const next: Record<string, Floats> = {};
      const mean: Record<string, Floats> = {};
      const variance: Record<string, Floats> = {};
      for (const [name, p] of Object.entries(parameters)) {
        const g = gradientOf(gradients, name, p);
        const [q, m, v] = [p.slice(), state.mean[name]!.slice(), state.variance[name]!.slice()];
        for (let i = 0; i < p.length; i++) {
          const mi = beta1 * m[i]! + (1 - beta1) * g[i]!;
          const vi = beta2 * v[i]! + (1 - beta2) * g[i]! * g[i]!;
          const change = (scale * mi) / (Math.sqrt(vi * correction) + epsilon);
          q[i] = p[i]! * (1 - rate * weightDecay) - change;
          m[i] = mi;
          v[i] = vi;
        }
        next[name] = q;
        mean[name] = m;
        variance[name] = v;
      }
      return [next, { step, mean, variance }];
    },
  };
}

/** Euclidean norm over all gradients together. */
export function globalNorm(gradients: Parameters): number {
  let total = 0;
  for (const g of Object.values(gradients)) for (const x of g) total += x * x;
  return Math.sqrt(total);
}

/** Gradients scaled down, if need be, to a global norm of at most `limit`. */
export function clipByGlobalNorm(gradients: Parameters, limit: number): Parameters {
  const norm = globalNorm(gradients);
  if (!(norm > limit)) return gradients;
  const factor = limit / norm;
  return mapParameters(gradients, (g) => g.map((x) => x * factor));
}

/** target ← (1 − τ)·target + τ·online (Polyak averaging). */
export function polyak(target: Parameters, online: Parameters, tau: number): Parameters {
  return mapParameters(target, (t, name) => {
    const o = online[name]!;
    return t.map((x, i) => x + tau * (o[i]! - x));
  });
}

function gradientOf(gradients: Parameters, name: string, { length }: Floats): Floats {
  const g = gradients[name];
  if (g?.length === length) return g;
  throw new ShapeError(
    `optimizer: parameter "${name}" needs a gradient of ${length} values, got ${g?.length ?? 'none'}`,
  );
}

function rateAt(rate: number | Schedule, step: number): number {
  return typeof rate === 'number' ? rate : rate(step);
}

function zerosLike(parameters: Parameters): Parameters {
  return mapParameters(parameters, (p) => new Float32Array(p.length));
}

function mapParameters(
  parameters: Parameters,
  f: (values: Floats, name: string) => Floats,
): Parameters {
  return Object.fromEntries(Object.entries(parameters).map(([name, p]) => [name, f(p, name)]));
}
