/**
 * REINFORCE with a group baseline, an entropy target and an archive to set out from:
 * loss = −mean_b[ z_b · (1/T) Σ_{t free} log π(a_t) ] − β · H. Fresh prompts are standardised among
 * themselves; prompts that set out from the archive have some tokens set, count the others alone, and
 * are judged by the change against their parent. β grows by e for each quarter of a nat that the
 * entropy H is under its target, which falls over the budget from where it began.
 *
 * Source: Williams 1992; group baseline as in arXiv 2402.03300; archive arXiv 2004.12919. It is not
 * PPO: every batch is used once, so there is no ratio to clip.
 */
import { z } from 'zod';
import type { Episode, Policy } from '../policy/index.ts';
import {
  type AdamState,
  adam,
  clipByGlobalNorm,
  constant,
  exp,
  float32,
  globalNorm,
  type HostTensor,
  input,
  logSoftmax,
  mul,
  neg,
  type Parameters,
  reduceMean,
  reduceSum,
  reshape,
  sub,
  type Tensor,
  takeAlong,
} from '../tensor/index.ts';
import { Archive, type Departure, type Kept } from './archive.ts';
import { type Made, refuseMisfit } from './fits.ts';
import { humanCandidates } from './human-prompts.ts';
import { type MethodContext, method } from './method.ts';
import {
  duplicateShare,
  lossInputs,
  meanOf,
  minibatch,
  offersState,
  policyOptions,
  type ScoredEpisode,
  scoreEpisodes,
  standardise,
  stepEvaluations,
} from './policy-loop.ts';

const options = z.strictObject({
  name: z.literal('policy-gradient').default('policy-gradient'),
  ...policyOptions,
  archiveShare: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.5)
    .describe('Share of the prompts that set out from the best ones so far'),
  archiveSize: z.int().min(1).max(1000).default(16).describe('Best prompts to set out from'),
  start: z
    .enum(['policy', 'human'])
    .default('human')
    .describe('What the archive begins with: human candidates that fit, or nothing'),
  entropyWeight: z
    .number()
    .positive()
    .default(0.01)
    .describe('Weight β of the entropy bonus while entropy is on its target'),
  entropyEnd: z
    .number()
    .min(0)
    .default(1)
    .describe(
      'Target entropy at the end of the budget, nats per token; it falls there from the start',
    ),
  restartEntropy: z
    .number()
    .min(0)
    .default(0.1)
    .describe('Nats per token under which the policy is taken as collapsed and begins afresh'),
});

/** Nats⁻¹ by which the logarithm of β follows the distance between entropy and target. */
const GAIN = 4;
const MAX_BETA = 1;

export const policyGradient = method({
  name: 'policy-gradient',
  summary: 'REINFORCE with an entropy target and an archive of good prompts to set out from.',
  options,
  needs: { policyLm: true },
  // How many human candidates fit, only a tokenizer can tell.
  leastEvaluations: (o, task) =>
    stepEvaluations(o.start === 'human' ? { ...o, batchSize: o.batchSize + 1 } : o, task),
  async *run(context, { promptTokens, batchSize, ...o }) {
    const policy = await context.createPolicy({ adapterWidth: o.adapterWidth, prior: o.prior });
    const learner = await policy.learner((logits) => reinforce(logits, promptTokens));
    const optimizer = adam({ learningRate: o.learningRate });
    let state = optimizer.init(policy.parameters);
    const fresh = policy.parameters;
    const archive = new Archive(o.archiveSize, promptTokens);
    const made = { promptTokens, adapterWidth: o.adapterWidth, prior: o.prior };
    const kept = context.restore?.() as PolicyGradientState | undefined;
    let first = kept?.first;
    if (kept) {
      refuseMisfit(kept.made, made);
      ({ parameters: policy.parameters, optimizer: state } = kept);
      archive.add(kept.archive);
    }
    try {
      if (!kept && o.start === 'human') {
        archive.add(await humanStarts(context, policy, { promptTokens, batchSize, ...o }));
      }
      for (let step = (kept?.step ?? 0) + 1; context.budget.isOpen; step++) {
        const departures = archive.isEmpty
          ? []
          : // At least one prompt is fresh: entropy and baseline are the fresh ones'.
            Array.from(
              { length: Math.min(batchSize - 1, Math.round(batchSize * o.archiveShare)) },
              () => archive.depart(context.rng),
            );
        const episodes = await policy.sample({
          count: batchSize,
          tokens: promptTokens,
          plans: departures.map(({ plan }) => plan),
          temperature: o.temperature,
          topK: o.topK,
          rng: context.rng,
        });
        const tried = await scoreEpisodes(context, episodes, { policy, ...o });
        archive.add(tried.map(keptOf));
        const { advantages, deviation } = advantagesOf(tried, departures);
        const { states, extra } = lossInputs(policy, episodes, advantages);
        const entropy = meanOf(tried.slice(departures.length), ({ episode }) => episode.entropy);
        first ??= entropy;
        const target = first + (o.entropyEnd - first) * Math.min(1, context.budget.spent);
        const beta = Math.min(MAX_BETA, o.entropyWeight * Math.exp(GAIN * (target - entropy)));
        const { quantities, gradients } = await learner.run(states, {
          ...extra,
          shares: sharesOf(episodes, departures),
          beta: float32(Float32Array.of(beta), []),
        });
        if (!Number.isFinite(quantities.loss)) {
          context.warn(`step ${step}: the loss is ${quantities.loss}, the update was left out`);
        } else {
          const clipped = clipByGlobalNorm(gradients, o.clipNorm);
          [policy.parameters, state] = optimizer.update(policy.parameters, clipped, state);
        }
        // One that is as sure from the start has not settled: it has when it is twice as sure.
        const settled = first < o.restartEntropy ? first / 2 : o.restartEntropy;
        if (entropy < settled) {
          // It writes one prompt over and over, which is in the pool: look elsewhere.
          context.warn(`step ${step}: the policy has settled on one prompt, it begins afresh`);
          policy.parameters = fresh;
          state = optimizer.init(fresh);
        }
        const after = { made, step, first, parameters: policy.parameters, optimizer: state };
        yield {
          step,
          tried,
          ...(offersState(policy, step)
            ? { state: (): PolicyGradientState => ({ ...after, archive: archive.prompts }) }
            : {}),
          entropy,
          quantities: {
            ...quantities,
            beta,
            entropyTarget: target,
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

interface PolicyGradientState {
  readonly made: Made;
  readonly step: number;
  /** Entropy of the first step. */
  readonly first: number | undefined;
  readonly parameters: Parameters;
  readonly optimizer: AdamState;
  readonly archive: readonly Kept[];
}

/** Human candidates of at most `promptTokens` tokens, scored: as many as leave the budget a first step. */
async function humanStarts(
  context: MethodContext,
  policy: Policy,
  o: { promptTokens: number; batchSize: number; examplesPerStep: number },
): Promise<Kept[]> {
  const { environment, task, budget } = context;
  const { promptTokens, examplesPerStep } = o;
  const { tokenizer } = policy.lm;
  const says = (ids: readonly number[], text: string) => tokenizer.decode(ids).trim() === text;
  const fitting = humanCandidates(task)
    .map((text) => ({ text, ids: tokenizer.encode(` ${text}`) }))
    .filter(({ text, ids }) => ids.length <= promptTokens && says(ids, text));
  const each = stepEvaluations({ batchSize: 1, examplesPerStep }, task);
  const room = Math.max(0, Math.floor((budget.evaluationsLeft - stepEvaluations(o, task)) / each));
  const candidates = fitting.slice(0, room);
  if (candidates.length < fitting.length) {
    context.warn(
      `budget.evaluations leaves room for ${candidates.length} of ${fitting.length} human candidates beside a first step, the others are left out`,
    );
  }
  const prompts = candidates.map(({ text }) => ({ text }));
  const scores = await environment.step(prompts, minibatch(context, examplesPerStep));
  return candidates
    .map(({ text, ids }, i) => ({ text, ids, reward: scores[i]!.reward }))
    .filter(({ reward }) => Number.isFinite(reward));
}

function keptOf({ episode, prompt, score }: ScoredEpisode): Kept {
  return { ids: episode.ids, text: prompt.text, reward: score.reward };
}

/**
 * A fresh prompt is judged against the other fresh ones, one that set out from the archive against
 * its parent; each in standard deviations of its own kind, rewards or changes; one change alone as it is.
 */
function advantagesOf(tried: readonly ScoredEpisode[], departures: readonly Departure[]) {
  const fresh = tried.slice(departures.length).map(({ score }) => score.reward);
  const { z, deviation } = standardise(fresh);
  const changes = departures.map(({ parent }, i) => tried[i]!.score.reward - parent.reward);
  const advantages = [...(changes.length > 1 ? standardise(changes).z : changes), ...z];
  return { advantages, deviation };
}

/** [B, T]: each token that the policy chose counts alike, tokens that were set count nothing. */
function sharesOf(episodes: readonly Episode[], departures: readonly Departure[]): HostTensor {
  const T = episodes[0]!.actions.length;
  const rows = episodes.flatMap((_, b) => {
    const isFree = departures[b]?.plan.isFree ?? Array.from({ length: T }, () => true);
    return isFree.map((free) => (free ? 1 / T : 0));
  });
  return float32(rows, [episodes.length, T]);
}

/** The loss from logits [B·T, A]. */
function reinforce(logits: Tensor, T: number) {
  const logProbs = logSoftmax(logits); // [N, A]
  const taken = takeAlong(logProbs, input('actions', ['N', 1], 'int64'));
  const rows = reshape(reshape(taken, ['N']), ['B', T], true);
  const perPrompt = reduceSum(mul(rows, input('shares', ['B', T])), [1]); // [B]
  const gain = reduceMean(mul(perPrompt, input('signals', ['B'])));
  const entropy = neg(reduceMean(reduceSum(mul(exp(logProbs), logProbs), [-1])));
  const loss = sub(neg(gain), mul(input('beta', []), entropy));
  return { loss, gain, entropyOfBatch: mul(entropy, constant(1)) };
}
