/**
 * What GRPO and its kin minimise, from the log-probabilities of sampled tokens. With ρ = π / π_old,
 * weights w that add up to one over a step, and A the advantage of the token's text:
 *
 *   grpo       −Σ_t w_t · min(ρ_t A, clip(ρ_t, 1 − ε, 1 + ε⁺) A)
 *   rloo       the same with one ratio a text: ρ = exp Σ_t (ln π − ln π_old)
 *   reinforce  −Σ_t w_t · A · ln π_t
 *
 * each plus β · Σ_t w_t · (exp(ln π_ref − ln π) − (ln π_ref − ln π) − 1), the k3 estimate of
 * KL(π ‖ π_ref). Sources: arXiv 2402.03300, equations 3 and 4; RLOO arXiv 2402.14740 with the clipped
 * ratio that TRL gives it; k3 joschu.net/blog/kl-approx.html.
 */
import type { CompletionTensors, Objective } from '../models/completions.ts';
import {
  add,
  cast,
  constant,
  exp,
  gather,
  greaterOrEqual,
  maximum,
  minimum,
  mul,
  neg,
  reduceSum,
  scatterAddRows,
  stopGradient,
  sub,
  type Tensor,
} from '../tensor/index.ts';
import { type Advantages, groupRelative, leaveOneOut } from './advantages.ts';

export interface ObjectiveOptions {
  /** ε and ε⁺: how far under and over one the ratio counts. */
  readonly clip: readonly [low: number, high: number];
  /** β, weight of the divergence from the reference. */
  readonly klWeight: number;
}

export interface PolicyObjective {
  readonly advantages: Advantages;
  objective(options: ObjectiveOptions): Objective;
}

export const objectives = {
  grpo: { advantages: groupRelative, objective: (o) => (t) => withKl(clippedByToken(t, o), t, o) },
  rloo: { advantages: leaveOneOut, objective: (o) => (t) => withKl(clippedByText(t, o), t, o) },
  reinforce: { advantages: leaveOneOut, objective: (o) => (t) => withKl(likelihood(t), t, o) },
} as const satisfies Record<string, PolicyObjective>;

/** The likelihood of texts, for a start from good ones: REINFORCE with all advantages at one. */
export const imitation: Objective = (t) => ({ loss: likelihood(t).loss });

type Sums = Readonly<Record<string, Tensor>> & { readonly loss: Tensor };

function clippedByToken(t: CompletionTensors, { clip }: ObjectiveOptions): Sums {
  const ratio = exp(sub(t.logProbs, t.oldLogProbs));
  const { terms, clipped } = surrogate(ratio, gather(t.advantages, t.text), clip);
  return {
    loss: neg(sum(mul(t.weights, terms))),
    clipped: sum(mul(t.weights, clipped)),
    ratio: sum(mul(t.weights, ratio)),
  };
}

function clippedByText(t: CompletionTensors, { clip }: ObjectiveOptions): Sums {
  const perText = (x: Tensor) => scatterAddRows(['R'], t.text, x);
  const ratio = exp(perText(sub(t.logProbs, t.oldLogProbs)));
  const weights = perText(t.weights);
  const { terms, clipped } = surrogate(ratio, t.advantages, clip);
  return {
    loss: neg(sum(mul(weights, terms))),
    clipped: sum(mul(weights, clipped)),
    ratio: sum(mul(weights, ratio)),
  };
}

function likelihood(t: CompletionTensors): Sums {
  return { loss: neg(sum(mul(t.weights, mul(gather(t.advantages, t.text), t.logProbs)))) };
}

/** min(ρA, clip(ρ)A), and where clipping took the gradient away. */
function surrogate(ratio: Tensor, A: Tensor, [low, high]: ObjectiveOptions['clip']) {
  const within = minimum(maximum(ratio, constant(1 - low)), constant(1 + high));
  const [free, held] = [mul(ratio, A), mul(within, A)];
  const isFree = cast(greaterOrEqual(held, free), 'float32');
  return { terms: minimum(free, held), clipped: stopGradient(sub(constant(1), isFree)) };
}

function withKl(sums: Sums, t: CompletionTensors, { klWeight }: ObjectiveOptions): Sums {
  const apart = sub(t.refLogProbs, t.logProbs);
  const kl = sum(mul(t.weights, sub(sub(exp(apart), apart), constant(1))));
  const entropy = neg(sum(mul(t.weights, t.logProbs)));
  const all = { ...sums, kl: stopGradient(kl), surprise: stopGradient(entropy) };
  return klWeight === 0 ? all : { ...all, loss: add(sums.loss, mul(kl, constant(klWeight))) };
}

const sum = (x: Tensor): Tensor => reduceSum(x);
