/**
 * GRPO: the policy LM reads a context under its chat template and writes a prompt in words; LoRA on
 * it learns from how the prompts of one group fare against each other. A step: G contexts, a group of
 * prompts each, their rewards on one minibatch, advantages within the groups, one or more updates of
 *
 *   −Σ_t w_t · min(ρ_t A, clip(ρ_t, 1 − ε, 1 + ε⁺) A) + β · k3(π ‖ π_ref),   w_t = 1 / tokens of the step
 *
 * Groups whose rewards are all one teach nothing: they are sampled again, then left out. RLOO and
 * REINFORCE with a leave-one-out baseline are other objectives of the same loop.
 *
 * Where the policy reads a conversation or a question (`policy.context`), each group is written for one
 * context and judged on the train examples that have it; the result is then the policy itself.
 *
 * Source: DeepSeekMath, arXiv 2402.03300; token-level normalisation and ε⁺ from DAPO, arXiv
 * 2503.14476. Deviations: docs/methods/grpo.md.
 */
import { resolve } from 'node:path';
import { drawExamples } from '../policy/messages.ts';
import { PromptWriter } from '../policy/writer.ts';
import type { AnyTask } from '../tasks/task.ts';
import { isFlat } from './advantages.ts';
import { BestPolicy, type BestState } from './best-policy.ts';
import { type Made, refuseMisfit } from './fits.ts';
import { Course, type CourseState } from './grpo-course.ts';
import { type GrpoOptions, grpoOptions } from './grpo-options.ts';
import { earlierLora } from './lora-file.ts';
import { anyTaskLm, method, type WriterContext, type WriterHost } from './method.ts';
import { stepEvaluations } from './policy-loop.ts';
import { withPromptsFile } from './prompts-file.ts';
import { eachContext, readsEach, wholeTask } from './subjects.ts';
import type { WriterRecipe } from './writer-recipe.ts';
import { openPolicy, policySolution, savePolicy } from './written-prompts.ts';

/** Steps in a row without an update after which the policy writes one thing alone, and search ends. */
const SETTLED = 10;

export const grpo = method({
  name: 'grpo',
  summary: 'LoRA on a policy LM that writes prompts in words, trained by GRPO, RLOO or REINFORCE.',
  options: grpoOptions,
  needs: { taskLm: anyTaskLm, policyLm: true },
  check: withPromptsFile,
  leastEvaluations: rolloutEvaluations,
  // Groups that are written again, and a look at validation.
  mostPerStep: (o, task) =>
    (1 + o.resamples) * rolloutEvaluations(o, task) + task.validation.length,
  async open(path, host: WriterHost) {
    return policySolution(host, await openPolicy(path, await host.policyLm()));
  },
  async *run(context: WriterContext, o) {
    const lm = await context.policyLm();
    const lora = { rank: o.rank, alpha: o.alpha, layers: o.layers };
    const writer = await PromptWriter.open(lm, { ...o, lora, rng: context.rng.fork('adapter') });
    if (o.adapter !== undefined) {
      writer.parameters = await earlierLora(resolve(context.folder ?? '.', o.adapter), lm, lora);
    }
    if (writer.chat.isPlain) {
      context.warn(`policyLm: ${lm.name} has no chat template, it reads the context as plain text`);
    }
    const isEach = readsEach(context);
    const recipe: WriterRecipe = {
      reads: [...context.reads],
      promptTokens: o.promptTokens,
      precision: o.precision,
      description: context.task.description,
      examples: drawExamples(context.task, context.rng.fork('shown')),
    };
    const policy = { writer, recipe };
    const draw = isEach
      ? eachContext(context, recipe, { ...o, writer })
      : wholeTask(context, recipe, { ...o, writer });
    const run = new Course(context, o, { writer, draw });
    const best = isEach ? new BestPolicy(context, policy) : undefined;
    const { budget } = context;
    const looks = new Meter(budget);
    const steps = new Meter(budget);
    const look = () => looks.time(async () => best?.look());
    // What follows a step is a last look at validation.
    const beside = best ? context.validation.length : 0;
    const mayStep = () =>
      budget.isOpen &&
      budget.fitting(rolloutEvaluations(o, context.task) + beside) >= 1 &&
      budget.timeLeft > steps.seconds + looks.seconds;
    const kept = context.restore?.() as GrpoState | undefined;
    let idle = kept?.idle ?? 0;
    try {
      if (kept) refuseMisfit(kept.made, lora);
      else {
        await run.imitate();
        await look();
      }
      await run.begin(kept?.course);
      if (kept?.best) best?.goOn(kept.best);
      for (let step = (kept?.step ?? 0) + 1; mayStep() && idle < SETTLED; step++) {
        const { groups, resampled, learnt } = await steps.time(async () => {
          const written = await run.rollout(mayStep);
          return { ...written, learnt: await run.update(written.groups) };
        });
        if (step % o.validateEvery === 0) await look();
        const all = groups.flatMap(({ judged }) => judged);
        const tried = all.flatMap(({ written: { text }, score }) =>
          score ? [{ prompt: { text }, score }] : [],
        );
        const flat = groups.filter(({ rewards }) => isFlat(rewards)).length;
        idle = learnt ? 0 : idle + 1;
        const after = { made: lora, step, idle };
        yield {
          step,
          tried,
          state: (): GrpoState => ({ ...after, course: run.after(), best: best?.after() }),
          ...(learnt?.surprise === undefined ? {} : { entropy: learnt.surprise }),
          quantities: {
            ...learnt,
            zeroVariance: flat,
            resampled,
            empty: all.length - tried.length,
            unended: share(all, ({ written }) => written.finish === 'length'),
            promptTokens: mean(all.map(({ written }) => written.ids.length)),
            ...(best?.latest ? { validation: best.latest.reward } : {}),
            distinct: new Set(all.map(({ written }) => written.text)).size / all.length,
          },
        };
      }
      if (idle === SETTLED) {
        context.warn(`grpo: ${SETTLED} steps in a row taught nothing, the policy has settled`);
      }
      await look();
    } finally {
      await run.close();
      if (best?.parameters) {
        writer.parameters = best.parameters;
        context.propose(policySolution(context, policy));
      } else {
        await context.keep?.((folder) => savePolicy(folder, policy));
        await writer.close();
      }
    }
  },
});

/** Evaluations of the groups of one step, written once. */
function rolloutEvaluations(o: GrpoOptions, task: AnyTask): number {
  return stepEvaluations({ ...o, batchSize: o.groups * o.groupSize }, task);
}

/** How long something took when it was done last. */
class Meter {
  seconds = 0;
  private readonly clock: { readonly seconds: number };

  constructor(clock: { readonly seconds: number }) {
    this.clock = clock;
  }

  async time<T>(work: () => Promise<T>): Promise<T> {
    const began = this.clock.seconds;
    const result = await work();
    this.seconds = this.clock.seconds - began;
    return result;
  }
}

interface GrpoState {
  readonly made: Made;
  readonly step: number;
  /** Steps in a row that taught nothing. */
  readonly idle: number;
  readonly course: CourseState;
  readonly best: BestState | undefined;
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / Math.max(1, values.length);
}

function share<T>(items: readonly T[], f: (item: T) => boolean): number {
  return items.filter(f).length / Math.max(1, items.length);
}
