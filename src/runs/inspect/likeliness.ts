/**
 * How likely a prompt is under the policy LM, in three places: as a text of its own (after the LM's
 * beginning of a text), after what a policy reads, and in the template after the inputs:
 *
 *   PPL(x) = exp( −(1/(E·T)) Σ_e Σ_t ln P(x_t | before_e, x_1 … x_{t−1}) )
 *
 * over E examples of train and validation (E = 1 in the first two places), T tokens of the policy LM.
 */
import { perplexityOf } from '../../policy/index.ts';
import { splitAtPrompt } from '../../tasks/index.ts';
import type { Workbench } from '../workbench.ts';
import type { InPlaces } from './result.ts';
import { attribute, endsOf } from './variants.ts';

export interface Likeliness {
  readonly perplexity: InPlaces;
  /** ln P of each of the task LM's tokens. */
  readonly tokens: readonly InPlaces[];
}

/** Inputs before which the prompt is read: more change the mean little. */
const INPUTS = 64;

/** `ids` are the prompt's under the task LM, whose tokens the log-probabilities are given to. */
export async function likelinessOf(
  bench: Workbench,
  prompt: string,
  ids: readonly number[],
): Promise<Likeliness> {
  const { task, taskLm } = bench;
  const meter = await bench.fluency();
  const { tokenizer } = meter.lm;
  const [reading] = await meter.read([prompt]);
  const plainIds = tokenizer.encode(prompt);
  const [alone] = await meter.after([''], plainIds);

  const { mask } = taskLm.tokenizer.special;
  const maskText =
    mask === undefined ? undefined : taskLm.tokenizer.decode([mask], { keepSpecialTokens: true });
  const befores = [...task.train, ...task.validation]
    .slice(0, INPUTS)
    .map(({ input }) => splitAtPrompt(task.template, input, maskText).before);
  const lead = befores[0]!.endsWith(' ') ? ' ' : '';
  const placedIds = tokenizer.encode(lead + prompt);
  const placed = meanOf(
    await meter.after(
      befores.map((text) => (lead ? text.slice(0, -1) : text)),
      placedIds,
    ),
  );

  const ends = endsOf(ids, taskLm.tokenizer);
  const given = (logProbs: ArrayLike<number>, from: readonly number[]) =>
    attribute(logProbs, endsOf(from, tokenizer), ends);
  const each = {
    alone: given(alone!, plainIds),
    afterContext: given(reading!.logProbs, reading!.ids),
    inPlace: given(placed, placedIds),
  };
  return {
    perplexity: {
      alone: perplexityOf(alone!),
      afterContext: reading!.perplexity,
      inPlace: perplexityOf(placed),
    },
    tokens: ids.map((_, t) => ({
      alone: each.alone[t]!,
      afterContext: each.afterContext[t]!,
      inPlace: each.inPlace[t]!,
    })),
  };
}

/** Element by element. */
function meanOf(rows: readonly Float32Array[]): number[] {
  return Array.from(rows[0]!, (_, t) => rows.reduce((sum, row) => sum + row[t]!, 0) / rows.length);
}
