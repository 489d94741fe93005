/**
 * RLPrompt: soft Q-learning with path consistency on a frozen LM's adapter. The adapter's logits are
 * the soft Q-values; the loss is in path-consistency.ts, V̄ in it comes from a target adapter that
 * follows the online one (Polyak). A guard warns before values diverge and falls back.
 *
 * The legs of the deadly triad are options: `bootstrap`, `replay` (off-policy data), `adapter`
 * (approximation or a table), and `targetRate` for the target's lag; docs/deadly-triad.md.
 *
 * Source: Guo et al. 2021, arXiv 2106.07704, equations 7–10; Deng et al. 2022, arXiv 2205.12548.
 * Deviations are listed in docs/methods/soft-q.md.
 */
import { z } from 'zod';
import {
  type AdamState,
  adam,
  clipByGlobalNorm,
  globalNorm,
  input,
  type Parameters,
  polyak,
  type Tensor,
} from '../tensor/index.ts';
import type { Rng } from '../util/rng.ts';
import { type Made, refuseMisfit } from './fits.ts';
import { method } from './method.ts';
import { pathConsistency } from './path-consistency.ts';
import {
  duplicateShare,
  lossInputs,
  meanOf,
  offersState,
  policyOptions,
  type ScoredEpisode,
  scoreEpisodes,
  standardise,
  stepEvaluations,
} from './policy-loop.ts';
import { fallBack, keep, type Snapshots } from './snapshots.ts';
import { type GuardState, judge, startGuard } from './value-guard.ts';

/** Earlier episodes that replay draws from. */
const REPLAY_KEPT = 512;

const options = z.strictObject({
  name: z.literal('soft-q').default('soft-q'),
  ...policyOptions,
  rewardScale: z.number().positive().default(5).describe('Factor of the standardised reward'),
  targetRate: z.number().min(0).max(1).default(0.001).describe('Polyak rate τ of the target'),
  words: z
    .int()
    .min(0)
    .default(0)
    .describe('Only the first so many words of the vocabulary, the commonest in BPE; 0: all'),
  adapter: z
    .enum(['mlp', 'table'])
    .default('mlp')
    .describe(
      'What learns: an MLP on the LM, or a table with a row for each beginning of a prompt',
    ),
  bootstrap: z
    .boolean()
    .default(true)
    .describe('Learn from the next state’s estimated value, too; false: from whole prompts alone'),
  replay: z
    .number()
    .min(0)
    .max(0.9)
    .default(0)
    .describe('Share of each update that is drawn from earlier prompts; 0: on policy'),
  restores: z
    .int()
    .min(0)
    .default(3)
    .describe('Times that the guard may fall back to the last good state; 0: it only warns'),
});

export const softQ = method({
  name: 'soft-q',
  summary: 'Soft Q-learning as in RLPrompt: a policy LM learns to write the prompt from rewards.',
  options,
  needs: { policyLm: true },
  leastEvaluations: stepEvaluations,
  async *run(context, { promptTokens, batchSize, rewardScale, ...o }) {
    const policy = await context.createPolicy({
      adapterWidth: o.adapterWidth,
      prior: o.prior,
      words: o.words,
      table: o.adapter === 'table' ? { tokens: promptTokens } : undefined,
    });
    const learner = await policy.learner((q, target) => lossOf(q, target, promptTokens, o));
    const replayed = Math.round((batchSize * o.replay) / (1 - o.replay));
    // No standardised reward of n is larger than √(n − 1), and no soft value adds more than T ln A.
    const realisable =
      rewardScale * Math.sqrt(batchSize + replayed - 1) +
      promptTokens * Math.log(policy.actions.ids.length);
    let learningRate = o.learningRate;
    let optimizer = adam({ learningRate });
    let state = optimizer.init(policy.parameters);
    let target = policy.parameters;
    let memory: readonly ScoredEpisode[] = [];
    let guard = startGuard();
    let snapshots: Snapshots = [];
    let flat = 0;
    const made = { promptTokens, adapterWidth: o.adapterWidth, prior: o.prior, words: o.words, adapter: o.adapter }; // biome-ignore format: one record
    const kept = context.restore?.() as SoftQState | undefined;
    if (kept) {
      refuseMisfit(kept.made, made);
      ({ parameters: policy.parameters, optimizer: state, target, memory } = kept);
      ({ guard, snapshots, flat } = kept);
      // Each return of the guard has halved the rate.
      learningRate = o.learningRate / 2 ** kept.halvings;
      optimizer = adam({ learningRate });
    }
    let halvings = kept?.halvings ?? 0;
    try {
      for (let step = (kept?.step ?? 0) + 1; context.budget.isOpen; step++) {
        target = polyak(target, policy.parameters, o.targetRate);
        const sampling = { temperature: o.temperature, topK: o.topK, rng: context.rng };
        const episodes = await policy.sample({
          count: batchSize,
          tokens: promptTokens,
          ...sampling,
        });
        const tried = await scoreEpisodes(context, episodes, { policy, ...o });
        const learnt = [...tried, ...drawn(memory, replayed, context.rng)];
        if (replayed > 0) memory = [...memory, ...tried].slice(-REPLAY_KEPT);
        const { z: standard, deviation } = standardise(learnt.map(({ score }) => score.reward));
        const shaped = standard.map((value) => rewardScale * value);
        const { states, extra } = lossInputs(
          policy,
          learnt.map(({ episode }) => episode),
          shaped,
        );
        const { quantities, gradients } = await learner.run(states, extra, target);

        const gradientNorm = globalNorm(gradients);
        const own = standardise(tried.map(({ score }) => score.reward)).deviation;
        const duplicates = duplicateShare(tried);
        const reading = {
          loss: quantities.loss!,
          gradientNorm,
          qAbsMax: quantities.qAbsMax!,
          reward: meanOf(tried, ({ score }) => score.reward),
          best: Math.max(...tried.map(({ score }) => score.reward)),
          deviation: own,
          duplicates,
        };
        const [guarded, verdict] = judge(guard, reading, { realisable, restores: o.restores });
        guard = guarded;
        if (verdict.kind === 'ok') {
          const present = { parameters: policy.parameters, target, optimizer: state };
          snapshots = keep(snapshots, step, present);
        }
        if (verdict.kind === 'restore' && snapshots.length > 0) {
          const [left, good] = fallBack(snapshots);
          snapshots = left;
          ({ target, optimizer: state } = good.learnt);
          policy.parameters = good.learnt.parameters;
          // Adam's steps are as long as its rate, whatever the gradient: the same rate from the same
          // state would walk the same way out.
          learningRate /= 2;
          halvings++;
          optimizer = adam({ learningRate });
          context.warn(
            `step ${step}: ${verdict.reason}: back to the state of step ${good.step} with half the learning rate, ${learningRate}; ${o.restores - guard.restored} more such returns are left`,
          );
        } else {
          const isBroken = verdict.kind !== 'ok' && verdict.sign === 'number';
          if (verdict.kind !== 'ok' && verdict.isNew) {
            const left = isBroken ? ', the update is left out' : '';
            context.warn(`step ${step}: ${verdict.reason}${left}`);
          }
          if (!isBroken && deviation > 0) {
            const clipped = clipByGlobalNorm(gradients, o.clipNorm);
            [policy.parameters, state] = optimizer.update(policy.parameters, clipped, state);
          }
        }
        if (own === 0) flat++;
        const learning = { parameters: policy.parameters, optimizer: state, target, memory };
        const after: SoftQState = { made, step, ...learning, guard, snapshots, flat, halvings };
        yield {
          step,
          tried,
          ...(offersState(policy, step) ? { state: () => after } : {}),
          entropy: meanOf(tried, ({ episode }) => episode.entropy),
          quantities: {
            ...quantities,
            gradientNorm,
            rewardDeviation: deviation,
            shapedReward: shaped.slice(0, tried.length).reduce((a, b) => a + b, 0) / tried.length,
            duplicates,
            zeroVariance: own === 0 ? 1 : 0,
            zeroVarianceShare: flat / step,
            guard: { ok: 0, warn: 1, restore: 2 }[verdict.kind],
            restores: guard.restored,
            realisable,
            learningRate,
          },
        };
      }
    } finally {
      await learner.unload();
      await policy.close();
    }
  },
});

interface SoftQState {
  readonly made: Made;
  readonly step: number;
  readonly parameters: Parameters;
  readonly optimizer: AdamState;
  readonly target: Parameters;
  readonly memory: readonly ScoredEpisode[];
  readonly guard: GuardState;
  readonly snapshots: Snapshots;
  /** Steps whose rewards were all one. */
  readonly flat: number;
  /** Of the learning rate. */
  readonly halvings: number;
}

function lossOf(q: Tensor, target: Tensor, tokens: number, { bootstrap }: { bootstrap: boolean }) {
  return pathConsistency(q, target, {
    actions: input('actions', ['N', 1], 'int64'),
    sampledLogProbs: input('sampledLogProbs', ['N']),
    signals: input('signals', ['B']),
    tokens,
    bootstrap,
  });
}

/** `count` earlier episodes, drawn uniformly with replacement; none while there are none. */
function drawn(memory: readonly ScoredEpisode[], count: number, rng: Rng): ScoredEpisode[] {
  if (memory.length === 0) return [];
  return Array.from({ length: count }, () => memory[rng.integer(memory.length)]!);
}
