/**
 * AutoPrompt: trigger tokens in the template, found by first-order token gradients. A step takes the
 * gradient ∇_t of the loss with respect to the word embedding in each slot t, ranks words w by
 * (e_w − e_t) · ∇_t, scores the most promising by the task LM, and keeps the best if it is better
 * than the current trigger on the same examples. When `patience` steps brought nothing it starts
 * afresh elsewhere; no trigger is proposed twice. With `positions: one` the gradient is the mean of
 * that at the slot's own word and that at the mean of all words, which ranks words far better.
 *
 * Source: Shin et al. 2020, arXiv 2010.15980, section 2.2; `positions: all` as in GCG, arXiv
 * 2307.15043, algorithm 1. The gradient is that of −log p(gold), the choice is by the run's reward.
 */
import { z } from 'zod';
import { type Environment, PromptGradient, type PromptScore } from '../environment/index.ts';
import { spearman } from '../statistics/index.ts';
import { rewards } from '../tasks/index.ts';
import { globalNorm } from '../tensor/index.ts';
import { type MethodContext, method } from './method.ts';
import { examplesPerStep, minibatch, stepEvaluations } from './policy-loop.ts';
import {
  type Proposal,
  predictedChanges,
  propose,
  type Trigger,
  triggerTokens,
  turnsIn,
} from './trigger-candidates.ts';
import { humanStarts, triggerStarts } from './trigger-starts.ts';

const options = z.strictObject({
  name: z.literal('autoprompt').default('autoprompt'),
  promptTokens: z.int().min(1).max(64).default(5).describe('Trigger tokens'),
  searchWidth: z.int().min(1).max(4096).default(64).describe('Candidates scored a step'),
  positions: z
    .enum(['one', 'all'])
    .default('one')
    .describe('one: the best words for a random slot; all: any slots, words drawn from the topK'),
  topK: z.int().min(1).default(256).describe('Words a slot to draw from, with positions all'),
  replacements: z
    .int()
    .min(1)
    .max(64)
    .default(1)
    .describe('Slots that one candidate changes, with positions all'),
  gradientPoints: z
    .int()
    .min(1)
    .max(64)
    .default(2)
    .describe('Where in the slot the gradient is taken and averaged, with positions one'),
  start: z
    .string()
    .min(1)
    .default('random')
    .describe(
      'random: the best of searchWidth random triggers; human: built-in prompts; or a text',
    ),
  patience: z.int().min(1).default(8).describe('Steps without a better trigger before a new start'),
  examplesPerStep,
  banLabelWords: z
    .boolean()
    .default(true)
    .describe('No trigger token may begin as a label word does'),
});

export const autoprompt = method({
  name: 'autoprompt',
  summary: 'Trigger tokens by first-order token gradients: AutoPrompt, or GCG with positions all.',
  options,
  leastEvaluations(o, task) {
    // Which of them read as the same tokens, only a tokenizer can tell.
    const humans = o.start === 'human' ? humanStarts(task, o).length : 0;
    return stepEvaluations({ ...o, batchSize: Math.max(o.searchWidth, humans) }, task);
  },
  async *run(context, o) {
    const { environment, budget, rng } = context;
    const tokens = triggerTokens(environment, o);
    const gradient = await PromptGradient.load(environment);
    const kept = context.restore?.() as AutopromptState | undefined;
    const starts = triggerStarts(context, tokens, { ...o, left: kept?.startsLeft });
    const known = new Set(kept?.known);
    let current = kept?.current;
    let stale = kept?.stale ?? 0;
    let restarts = kept?.restarts ?? -1;
    const stateAfter = (step: number) => (): AutopromptState => ({
      ...{ step, current: current!, stale, restarts, known: [...known], startsLeft: starts.left },
    });
    try {
      for (let step = (kept?.step ?? 0) + 1; budget.isOpen; step++) {
        const batch = minibatch(context, o.examplesPerStep);
        if (!current || stale >= o.patience) {
          const tried = await score(context, await starts.next(batch), batch);
          for (const { prompt } of tried) known.add(prompt.text);
          current = bestOf(tried).prompt;
          stale = 0;
          restarts++;
          yield { step, tried, quantities: { restarts, accepted: 0 }, state: stateAfter(step) };
          continue;
        }
        const slot = o.positions === 'one' ? rng.integer(current.ids.length) : undefined;
        const turns =
          slot === undefined
            ? undefined
            : await turnsIn(slot, gradient, { tokens, points: o.gradientPoints, rng });
        const slope = await gradient.at(current.ids, turns ? { ...batch, turns } : batch);
        budget.spend(3 * slope.examples);
        const changes = await predictedChanges(gradient, slope, tokens);
        const proposals = propose(
          tokens,
          { ids: current.ids, changes, known, slot },
          { ...o, rng },
        );
        for (const { trigger } of proposals) known.add(trigger.text);
        // The current trigger on the same examples: known from before, unless the minibatch is new.
        const triggers = [current, ...proposals.map(({ trigger }) => trigger)];
        const [before, ...tried] = await score(context, triggers, batch);
        const best = bestOf([before!, ...tried]);
        const isBetter = best.score.reward > before!.score.reward;
        current = best.prompt;
        stale = isBetter ? 0 : stale + 1;
        yield {
          step,
          tried: tried.length > 0 ? tried : [before!],
          quantities: {
            loss: slope.loss,
            gradientNorm: globalNorm({ gradient: slope.gradient }),
            ...compared(environment, proposals, [before!, ...tried]),
            accepted: isBetter ? 1 : 0,
            currentReward: best.score.reward,
            restarts,
          },
          state: stateAfter(step),
        };
      }
    } finally {
      await gradient.close();
    }
  },
});

interface AutopromptState {
  readonly step: number;
  readonly current: Trigger;
  readonly stale: number;
  readonly restarts: number;
  /** Texts of all triggers that were proposed. */
  readonly known: readonly string[];
  /** Human prompts that no search began with yet. */
  readonly startsLeft: readonly string[] | undefined;
}

interface Tried {
  readonly prompt: Trigger;
  readonly score: PromptScore;
}

/** Rewards on the step's examples; all that is tried enters the pool. */
async function score(
  { environment, pool }: MethodContext,
  triggers: readonly Trigger[],
  batch: { blocks?: readonly number[] },
): Promise<Tried[]> {
  const scores = await environment.step(triggers, batch);
  return triggers.map((prompt, i) => {
    pool.add(prompt, scores[i]!);
    return { prompt, score: scores[i]! };
  });
}

/** The first of the best: what stands first stays unless another is better. */
function bestOf(tried: readonly Tried[]): Tried {
  return tried.reduce((best, each) => (each.score.reward > best.score.reward ? each : best));
}

/** How the first-order promise was kept: for the best proposal, and over all of them by rank. */
function compared(
  environment: Environment,
  proposals: readonly Proposal[],
  [before, ...tried]: readonly Tried[],
): Record<string, number> {
  if (tried.length === 0) return {};
  const loss = lossOf(environment, before!);
  const predicted = proposals.map((proposal) => proposal.predicted);
  const actual = tried.map((each) => lossOf(environment, each) - loss);
  const best = tried.indexOf(bestOf(tried));
  const rankCorrelation = tried.length > 1 ? spearman(predicted, actual) : Number.NaN;
  return {
    predictedChange: predicted[best]!,
    actualChange: actual[best]!,
    ...(Number.isFinite(rankCorrelation) ? { rankCorrelation } : {}),
  };
}

/** Mean −log p(gold) in nats. */
function lossOf({ examples }: Environment, { score }: Tried): number {
  const C = score.scores.length / score.examples.length;
  const total = score.examples.reduce((sum, e, i) => {
    const row = score.scores.subarray(i * C, (i + 1) * C);
    return sum - rewards['log-prob'](row, examples[e]!.label);
  }, 0);
  return total / score.examples.length;
}
