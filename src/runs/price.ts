/** What fluency took from the chosen text's reward, and what would have been chosen without its price. */
import { titleOf } from '../methods/index.ts';
import { bestOf, type Scored, worth } from './choose.ts';
import type { Config } from './config.ts';
import type { FluencyPrice } from './events.ts';
import { splitScore } from './measure.ts';

/** The winner of the last round. */
export interface Chosen extends Scored {
  /** Where fluency has a price. */
  readonly fluency?: FluencyPrice | undefined;
}

export function priceOf(
  chosen: Scored,
  finalists: readonly Scored[],
  { weight, maxPerplexity }: Config['fluency'],
): FluencyPrice | undefined {
  const { fluency } = chosen.validation;
  if (!fluency) return undefined;
  const free = bestOf(finalists, false);
  return {
    weight,
    ...(maxPerplexity === undefined ? {} : { maxPerplexity }),
    perplexity: fluency.perplexity,
    reward: worth(chosen),
    taskReward: worth(chosen, false),
    penalty: fluency.penalty,
    ...(free === chosen || !free.validation.fluency
      ? {}
      : {
          unpriced: {
            prompt: titleOf(free.solution),
            perplexity: free.validation.fluency.perplexity,
            taskReward: worth(free, false),
            validation: splitScore(free.validation),
          },
        }),
  };
}
