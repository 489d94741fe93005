/**
 * REINFORCE with a group baseline and an entropy bonus:
 * loss = −mean_b[ z_b · mean_t log π(a_t) ] − β · H, where z is the reward standardised over the
 * step's prompts and H the mean entropy of the policy. β rises when entropy falls under its floor,
 * which keeps the policy from collapsing onto one prompt.
 *
 * Source: Williams 1992; group baseline as in arXiv 2402.03300. It is not PPO: every batch is used
 * once, on policy, so there is no ratio to clip.
 */
import { z } from 'zod';
import {
  adam,
  clipByGlobalNorm,
  constant,
  exp,
  float32,
  globalNorm,
  input,
  logSoftmax,
  mul,
  neg,
  reduceMean,
  reduceSum,
  reshape,
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
  scoreEpisodes,
  standardise,
} from './policy-loop.ts';

const options = z.strictObject({
  name: z.literal('policy-gradient').default('policy-gradient'),
  promptTokens: z.int().min(1).max(64).default(5).describe('Tokens of the prompt'),
  batchSize: z.int().min(2).max(256).default(16).describe('Prompts sampled a step'),
  examplesPerStep,
  learningRate: z.number().positive().default(3e-4).describe('Adam’s step size'),
  entropyWeight: z.number().positive().default(0.01).describe('Weight β of the entropy bonus'),
  entropyFloor: z.number().min(0).default(1).describe('Nats per token under which β is raised'),
  restartEntropy: z
    .number()
    .min(0)
    .default(0.1)
    .describe('Nats per token under which the policy is taken as collapsed and begins afresh'),
  topK: z.int().min(0).default(256).describe('Actions to sample among; 0: all'),
  temperature: z.number().positive().default(1).describe('Of sampling'),
  clipNorm: z.number().positive().default(5).describe('Largest global norm of the gradient'),
  adapterWidth: z.int().min(8).max(8192).default(2048).describe('Hidden width of the adapter'),
  prior: z
    .number()
    .min(0)
    .max(10)
    .default(1)
    .describe('Weight of the LM’s own log-probabilities; 0: uniform'),
});

export const policyGradient = method({
  name: 'policy-gradient',
  summary: 'REINFORCE with a group baseline and an entropy bonus that guards against collapse.',
  options,
  async *run(context, { promptTokens, batchSize, ...o }) {
    const policy = await context.createPolicy({ adapterWidth: o.adapterWidth, prior: o.prior });
    const learner = await policy.learner((logits) => reinforce(logits, promptTokens));
    const optimizer = adam({ learningRate: o.learningRate });
    let state = optimizer.init(policy.parameters);
    const fresh = policy.parameters;
    let beta = o.entropyWeight;
    try {
      for (let step = 1; context.budget.isOpen; step++) {
        const sampling = { temperature: o.temperature, topK: o.topK, rng: context.rng };
        const episodes = await policy.sample({
          count: batchSize,
          tokens: promptTokens,
          ...sampling,
        });
        const tried = await scoreEpisodes(context, episodes, { policy, ...o });
        const { z: advantages, deviation } = standardise(tried.map(({ score }) => score.reward));
        const { states, extra } = lossInputs(policy, episodes, advantages);
        const entropy = meanOf(tried, ({ episode }) => episode.entropy);
        beta =
          entropy < o.entropyFloor
            ? Math.min(beta * 1.05, 0.1)
            : Math.max(beta / 1.2, o.entropyWeight);
        const { quantities, gradients } = await learner.run(states, {
          ...extra,
          beta: float32(Float32Array.of(beta), []),
        });
        if (!Number.isFinite(quantities.loss)) {
          context.warn(`step ${step}: the loss is ${quantities.loss}, the update was left out`);
        } else {
          const clipped = clipByGlobalNorm(gradients, o.clipNorm);
          [policy.parameters, state] = optimizer.update(policy.parameters, clipped, state);
        }
        if (entropy < o.restartEntropy) {
          // It writes one prompt over and over, which is in the pool: look elsewhere.
          context.warn(`step ${step}: the policy has settled on one prompt, it begins afresh`);
          policy.parameters = fresh;
          state = optimizer.init(fresh);
          beta = o.entropyWeight;
        }
        yield {
          step,
          tried,
          entropy,
          quantities: {
            ...quantities,
            beta,
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

/** The loss from logits [B·T, A]. */
function reinforce(logits: Tensor, T: number) {
  const logProbs = logSoftmax(logits); // [N, A]
  const taken = takeAlong(logProbs, input('actions', ['N', 1], 'int64'));
  const perPrompt = reduceMean(reshape(reshape(taken, ['N']), ['B', T], true), [1]); // [B]
  const gain = reduceMean(mul(perPrompt, input('signals', ['B'])));
  const entropy = neg(reduceMean(reduceSum(mul(exp(logProbs), logProbs), [-1])));
  const loss = sub(neg(gain), mul(input('beta', []), entropy));
  return { loss, gain, entropyOfBatch: mul(entropy, constant(1)) };
}
