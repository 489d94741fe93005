/**
 * RLPrompt: soft Q-learning with path consistency on a frozen LM's adapter. The adapter's logits are
 * the soft Q-values; V = logsumexp(Q), A = Q − V = log π.
 *
 *   single step:  L2_t = (A_t − [V̄_{t+1} − V̄_t])², and at the end (A_T − [r − V̄_T])²
 *   multi step:   L3_t = (Σ_{l≥t} A_l − [r − V̄_t])²
 *   loss:         mean over prompts of Σ_t ½(L2_t + L3_t); V̄ from a target adapter (Polyak)
 *
 * Source: Guo et al. 2021, arXiv 2106.07704, equations 7–10; Deng et al. 2022, arXiv 2205.12548.
 * Deviations are listed in docs/methods/soft-q.md.
 */
import { z } from 'zod';
import {
  adam,
  add,
  clipByGlobalNorm,
  concat,
  constant,
  globalNorm,
  input,
  logSumExp,
  matmul,
  mul,
  polyak,
  reduceMean,
  reduceSum,
  reshape,
  slice,
  square,
  sub,
  type Tensor,
  takeAlong,
} from '../tensor/index.ts';
import { method } from './method.ts';
import {
  duplicateShare,
  examplesPerStep,
  lossInputs,
  meanOf,
  type ScoredEpisode,
  scoreEpisodes,
  standardise,
  stepEvaluations,
} from './policy-loop.ts';

const options = z.strictObject({
  name: z.literal('soft-q').default('soft-q'),
  promptTokens: z.int().min(1).max(64).default(5).describe('Tokens of the prompt'),
  batchSize: z.int().min(2).max(256).default(16).describe('Prompts sampled a step'),
  examplesPerStep,
  learningRate: z.number().positive().default(3e-4).describe('Adam’s step size'),
  topK: z.int().min(0).default(256).describe('Actions to sample among; 0: all'),
  temperature: z.number().positive().default(1).describe('Of sampling'),
  rewardScale: z.number().positive().default(5).describe('Factor of the standardised reward'),
  targetRate: z.number().min(0).max(1).default(0.001).describe('Polyak rate τ of the target'),
  clipNorm: z.number().positive().default(5).describe('Largest global norm of the gradient'),
  adapterWidth: z.int().min(8).max(8192).default(2048).describe('Hidden width of the adapter'),
  prior: z
    .number()
    .min(0)
    .max(10)
    .default(1)
    .describe('Weight of the LM’s own log-probabilities; 0: uniform'),
  replay: z.int().min(0).max(256).default(0).describe('Best earlier prompts added to each update'),
});

export const softQ = method({
  name: 'soft-q',
  summary: 'Soft Q-learning as in RLPrompt: a policy LM learns to write the prompt from rewards.',
  options,
  needs: { policyLm: true },
  leastEvaluations: stepEvaluations,
  async *run(context, { promptTokens, batchSize, rewardScale, ...o }) {
    const policy = await context.createPolicy({ adapterWidth: o.adapterWidth, prior: o.prior });
    const learner = await policy.learner((q, target) => pathConsistency(q, target, promptTokens));
    const optimizer = adam({ learningRate: o.learningRate });
    let state = optimizer.init(policy.parameters);
    let target = policy.parameters;
    const memory = new Map<string, ScoredEpisode>();
    try {
      for (let step = 1; context.budget.isOpen; step++) {
        target = polyak(target, policy.parameters, o.targetRate);
        const sampling = { temperature: o.temperature, topK: o.topK, rng: context.rng };
        const episodes = await policy.sample({
          count: batchSize,
          tokens: promptTokens,
          ...sampling,
        });
        const tried = await scoreEpisodes(context, episodes, { policy, ...o });
        const learnt = [...tried, ...bestOf(memory, o.replay)];
        const { z: standard, deviation } = standardise(learnt.map(({ score }) => score.reward));
        remember(memory, tried, o.replay);
        const { states, extra } = lossInputs(
          policy,
          learnt.map(({ episode }) => episode),
          standard.map((value) => rewardScale * value),
        );
        const { quantities, gradients } = await learner.run(states, extra, target);
        if (!Number.isFinite(quantities.loss)) {
          context.warn(`step ${step}: the loss is ${quantities.loss}, the update was left out`);
        } else if (deviation > 0) {
          const clipped = clipByGlobalNorm(gradients, o.clipNorm);
          [policy.parameters, state] = optimizer.update(policy.parameters, clipped, state);
        }
        yield {
          step,
          tried,
          entropy: meanOf(tried, ({ episode }) => episode.entropy),
          quantities: {
            ...quantities,
            gradientNorm: globalNorm(gradients),
            rewardDeviation: deviation,
            duplicates: duplicateShare(tried),
          },
        };
      }
    } finally {
      await learner.unload();
      await policy.close();
    }
  },
});

/** The loss from Q-values [B·T, A] of the online and the target adapter. */
function pathConsistency(online: Tensor, target: Tensor, T: number) {
  const at = takeAlong(online, input('actions', ['N', 1], 'int64')); // [N, 1]
  const r = reshape(input('signals', ['B']), ['B', 1]);
  // N = B·T: the reshape to rows of T is worked out at run time.
  const rows = (x: Tensor) => reshape(reshape(x, ['N']), ['B', T], true);
  const v = logSumExp(online, [-1], true); // [N, 1]
  const advantage = rows(sub(at, v)); // A_t = log π(a_t)
  const vBar = rows(logSumExp(target, [-1], true));
  const next = T > 1 ? concat([slice(vBar, 1, 1, T), r], 1) : r;
  const single = square(sub(advantage, sub(next, vBar)));
  const later = new Float32Array(T * T); // later[l][t] = 1 where l ≥ t
  for (let l = 0; l < T; l++) for (let t = 0; t <= l; t++) later[l * T + t] = 1;
  const path = matmul(advantage, constant(later, [T, T])); // Σ_{l≥t} A_l
  const multi = square(sub(path, sub(r, vBar)));
  const perPrompt = reduceSum(mul(constant(0.5), add(single, multi)), [1]);
  return {
    loss: reduceMean(perPrompt),
    qValue: reduceMean(at),
    stateValue: reduceMean(v),
    targetDrift: reduceMean(square(sub(rows(v), vBar))),
  };
}

function bestOf(memory: ReadonlyMap<string, ScoredEpisode>, count: number): ScoredEpisode[] {
  return count === 0 ? [] : [...memory.values()];
}

/** Keeps the `count` best distinct episodes. */
function remember(
  memory: Map<string, ScoredEpisode>,
  tried: readonly ScoredEpisode[],
  count: number,
) {
  if (count === 0) return;
  for (const scored of tried) memory.set(scored.prompt.text, scored);
  const kept = [...memory].sort(([, a], [, b]) => b.score.reward - a.score.reward).slice(0, count);
  memory.clear();
  for (const [text, scored] of kept) memory.set(text, scored);
}
