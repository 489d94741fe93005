/** The configured reward: a name of one over the label words' scores, or a composition of parts. */
import type { Compose } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import {
  type ComposedRewardOptions,
  charactersOf,
  clipped,
  composeReward,
  type MetricConfig,
  metricsOf,
  type RewardFunction,
  rewards,
} from '../tasks/index.ts';
import type { Config } from './config.ts';
import { isRemote, nameOf } from './model-reference.ts';

/** The composition, where the reward is one. */
export function compositionOf({
  reward,
}: Pick<Config, 'reward'>): ComposedRewardOptions | undefined {
  return typeof reward === 'string' ? undefined : reward;
}

/** Metrics that the reward asks beside the task's own. */
export function rewardMetrics(config: Pick<Config, 'reward'>): MetricConfig[] {
  const composed = compositionOf(config);
  return composed ? metricsOf(composed) : [];
}

/** What an example is worth by the label words' scores alone. */
export function labelReward({ reward }: Pick<Config, 'reward'>): RewardFunction {
  return rewards[typeof reward === 'string' ? reward : (reward.labels ?? 'piecewise')];
}

/** The same for what is no prompt, which has no length. */
export function tensorReward(config: Pick<Config, 'reward'>): RewardFunction {
  const [of, composed] = [labelReward(config), compositionOf(config)];
  return composed ? (logits, gold) => clipped(of(logits, gold), composed) : of;
}

/** How label words' rewards are composed, where they are. */
export function labelComposition(config: Pick<Config, 'reward'>): Compose | undefined {
  const options = compositionOf(config);
  if (!options) return undefined;
  return (own, { text, ids }) => {
    const length = options.length?.unit === 'characters' ? charactersOf(text) : ids.length;
    return composeReward({ scores: [own], length }, options)!;
  };
}

/** True where a prompt's likelihood under the policy LM has a price. */
export function hasFluencyPrice({ fluency }: Pick<Config, 'fluency'>): boolean {
  return fluency.weight > 0 || fluency.maxPerplexity !== undefined;
}

/**
 * Refuses what does not fit the way in which the LMs answer: a part of the reward, a price of fluency.
 * @throws ConfigError
 */
export function refuseMisfit(config: Config, isAskedInText: boolean): void {
  if (isAskedInText && hasFluencyPrice(config) && isRemote(config.policyLm)) {
    throw new ConfigError(
      `fluency: the policy LM ${nameOf(config.policyLm)} is behind an API and does not tell how likely a prompt is; take a local policyLm, or remove fluency from the configuration`,
    );
  }
  const composed = compositionOf(config);
  if (!composed) return;
  const { labels, metrics, format, length } = composed;
  const name = nameOf(config.taskLm);
  if (!isAskedInText) {
    const given = metrics ? 'metrics' : format ? 'format' : undefined;
    if (given) {
      throw new ConfigError(
        `reward.${given}: the task LM ${name} prefers one of the label words and writes no text that could be judged; remove it, or give reward.labels, as piecewise`,
      );
    }
    if (length?.of === 'answer') {
      throw new ConfigError(
        `reward.length.of: expected prompt, got answer: the task LM ${name} prefers one of the label words and writes no answer that has a length`,
      );
    }
    return;
  }
  if (labels !== undefined) {
    throw new ConfigError(
      `reward.labels: the task LM ${name} is asked in text and tells no scores of all label words; remove it, or give reward.metrics`,
    );
  }
  if (length?.of === 'prompt' && length.unit === 'tokens' && isRemote(config.taskLm)) {
    throw new ConfigError(
      `reward.length.unit: the task LM ${name} is behind an API, so that the tokens of a prompt alone are not known; set it to characters`,
    );
  }
}
