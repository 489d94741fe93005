/**
 * Optimisers as pure functions: a state, gradients in, new parameters and state out. Nothing is
 * changed in place, so a snapshot is a reference and a resumed run goes on exactly.
 */

export type Parameters = Readonly<Record<string, Float32Array<ArrayBuffer>>>;

export interface Optimizer<State> {
  init(parameters: Parameters): State;
  update(parameters: Parameters, gradients: Parameters, state: State): [Parameters, State];
}

export interface AdamState {
  readonly step: number;
  readonly mean: Parameters;
  readonly variance: Parameters;
}

export interface AdamOptions {
  readonly learningRate: number | ((step: number) => number);
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
  /** Decoupled weight decay (AdamW, arXiv 1711.05101). @default 0 */
  readonly weightDecay?: number;
}

/** Adam. Source: arXiv 1412.6980, algorithm 1. */
export function adam({
  learningRate,
  beta1 = 0.9,
  beta2 = 0.999,
  epsilon = 1e-8,
  weightDecay = 0,
}: AdamOptions): Optimizer<AdamState> {
  return {
    init: (parameters) => ({
      step: 0,
      mean: mapParameters(parameters, (p) => new Float32Array(p.length)),
      variance: mapParameters(parameters, (p) => new Float32Array(p.length)),
    }),
    update(parameters, gradients, state) {
      const step = state.step + 1;
      const rate = typeof learningRate === 'number' ? learningRate : learningRate(step);
      const scale = rate / (1 - beta1 ** step);
      const correction = 1 / (1 - beta2 ** step);
      const next: Record<string, Float32Array<ArrayBuffer>> = {};
      const mean: Record<string, Float32Array<ArrayBuffer>> = {};
      const variance: Record<string, Float32Array<ArrayBuffer>> = {};
      for (const [name, p] of Object.entries(parameters)) {
        const g = gradients[name]!;
        const m0 = state.mean[name]!;
        const v0 = state.variance[name]!;
        const [q, m, v] = [p.slice(), m0.slice(), v0.slice()];
        for (let i = 0; i < p.length; i++) {
          const gi = g[i]!;
          const mi = beta1 * m0[i]! + (1 - beta1) * gi;
          const vi = beta2 * v0[i]! + (1 - beta2) * gi * gi;
          m[i] = mi;
          v[i] = vi;
          q[i] =
            p[i]! -
            (scale * mi) / (Math.sqrt(vi * correction) + epsilon) -
            rate * weightDecay * p[i]!;
        }
        next[name] = q;
        mean[name] = m;
        variance[name] = v;
      }
      return [next, { step, mean, variance }];
    },
  };
}

/** Stochastic gradient descent. */
export function sgd({ learningRate }: { learningRate: number }): Optimizer<null> {
  return {
    init: () => null,
    update: (parameters, gradients) => [
      mapParameters(parameters, (p, name) => {
        const g = gradients[name]!;
        return p.map((value, i) => value - learningRate * g[i]!);
      }),
      null,
    ],
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

function mapParameters(
  parameters: Parameters,
  f: (values: Float32Array<ArrayBuffer>, name: string) => Float32Array<ArrayBuffer>,
): Parameters {
  return Object.fromEntries(Object.entries(parameters).map(([name, p]) => [name, f(p, name)]));
}
