/**
 * A start from prompts that are there already: their likelihood is raised after contexts like those to
 * come. Weighted by reward, a context's prompts count as exp(A / TEMPERATURE), A what each earns on
 * this context's own examples, standardised among the prompts: so the policy learns which of them helps
 * when, before it writes one of its own.
 *
 *   −Σ_t w_t · ln π(a_t | context),   w_t = share of the token's prompt / Σ shares · tokens
 *
 * Source: advantage-weighted regression, Peng et al. 2019, arXiv 1910.00177, equation 9, with actions
 * from the given prompts alone. Left out: its value function, a context's mean reward takes its place.
 */
import { loadCompletionTrainer } from '../models/completions.ts';
import type { PromptWriter } from '../policy/writer.ts';
import { adamw, clipByGlobalNorm } from '../tensor/index.ts';
import { progressOf } from '../util/progress.ts';
import { SpentError } from './budget.ts';
import type { GrpoOptions } from './grpo-options.ts';
import type { WriterContext } from './method.ts';
import { imitation } from './objectives.ts';
import { finite, standardise } from './policy-loop.ts';
import type { DrawSubjects, Subject } from './subjects.ts';

/** Of the budget, at most, while imitating. */
const WARM_SHARE = 0.5;

/** In standard deviations of a context's rewards. */
const TEMPERATURE = 0.5;

/** Prompts of a context that are imitated in a step, the best ones. */
const IMITATED = 3;

/** How much each prompt counts for one context; those that do not are left out. */
type Shares = ReadonlyMap<string, number>;

export interface WarmStart {
  readonly writer: PromptWriter;
  readonly draw: DrawSubjects;
  readonly prompts: readonly string[];
  readonly options: Pick<GrpoOptions, 'warmSteps' | 'warmRate' | 'clipNorm' | 'groups'>;
  readonly weight: 'uniform' | 'reward';
}

/** Changes the writer's parameters. */
export async function warmStart(context: WriterContext, w: WarmStart): Promise<void> {
  const { writer, prompts, draw } = w;
  const { warmSteps, warmRate, clipNorm, groups: count } = w.options;
  if (warmSteps === 0) return;
  const ids = new Map(prompts.map((text) => [text, writer.idsOf(text)]));
  const sharesOf =
    w.weight === 'reward' ? earned : anyOf(context, Math.ceil(prompts.length / count));
  const optimizer = adamw({ learningRate: warmRate, weightDecay: 0 });
  let state = optimizer.init(writer.parameters);
  const tell = progressOf(
    { phase: `imitating ${prompts.length} prompts`, total: warmSteps * count, unit: 'contexts' },
    context.onProgress,
  );
  tell(0);
  const trainer = await loadCompletionTrainer(writer.lm, writer.lora, imitation);
  try {
    for (let step = 0; step < warmSteps && context.budget.spent < WARM_SHARE; step++) {
      context.signal?.throwIfAborted();
      const subjects = draw(count);
      const shares: Shares[] = [];
      for (const subject of subjects) {
        const own = await sharesOf(subject, prompts).catch(unlessSpent);
        if (!own) return;
        shares.push(own);
        // The last of a step is done when it has been learnt.
        if (shares.length < subjects.length) tell(step * count + shares.length);
      }
      const groups = subjects.map(({ reading }, g) => ({
        prompt: reading,
        texts: [...shares[g]!.keys()].map((text) => ids.get(text)!),
      }));
      const { gradients } = await trainer.run(groups, signalsOf(groups, shares), writer.parameters);
      const clipped = clipByGlobalNorm(gradients, clipNorm);
      [writer.parameters, state] = optimizer.update(writer.parameters, clipped, state);
      tell((step + 1) * count);
    }
  } finally {
    await trainer.unload();
  }
}

/** Nothing where the budget has no room for it. */
function unlessSpent(error: unknown): undefined {
  if (!(error instanceof SpentError)) throw error;
}

/** Some of the prompts, as much each. */
function anyOf({ rng }: WriterContext, count: number) {
  return async (_: Subject, prompts: readonly string[]): Promise<Shares> =>
    new Map(
      rng
        .shuffle(prompts)
        .slice(0, count)
        .map((text) => [text, 1]),
    );
}

/** The prompts that fare best with a context, by exp(A / TEMPERATURE); shares add up to one. */
export async function earned(subject: Subject, prompts: readonly string[]): Promise<Shares> {
  const scores = await subject.judge(prompts.map((text) => ({ text })));
  const { z } = standardise(finite(scores.map(({ reward }) => reward)));
  const best = prompts
    .map((text, i) => ({ text, weight: Math.exp(z[i]! / TEMPERATURE) }))
    .sort((a, b) => b.weight - a.weight)
    .slice(0, IMITATED);
  const sum = best.reduce((total, { weight }) => total + weight, 0);
  return new Map(best.map(({ text, weight }) => [text, weight / sum]));
}

function signalsOf(
  groups: readonly { readonly texts: readonly (readonly number[])[] }[],
  shares: readonly Shares[],
) {
  const each = groups.map(({ texts }, g) => {
    const own = [...shares[g]!.values()];
    return texts.map((ids, i) => ids.map(() => own[i]!));
  });
  const total = each.flat(2).reduce((sum, share) => sum + share, 0);
  const weights = each.map((group) => group.map((text) => text.map((share) => share / total)));
  return {
    advantages: groups.map(({ texts }) => texts.map(() => 1)),
    oldLogProbs: weights,
    weights,
  };
}
