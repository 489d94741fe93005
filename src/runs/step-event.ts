/** What a search tells of each step: rewards, the best prompt so far, one example, what is spent. */
import type { PromptScorer } from '../environment/index.ts';
import type { Budget, CandidatePool, StepReport } from '../methods/index.ts';
import type { Episode, RewardMeans, RunEvent, StepFluency } from './events.ts';
import { rewardMeans } from './measure.ts';

/** How far a search is. */
interface Progress {
  readonly environment: PromptScorer;
  readonly budget: Budget;
  readonly pool: CandidatePool;
  /** Prompts so far. */
  readonly tried: number;
}

/** What is told of a step. */
export function stepEvent(report: StepReport, s: Progress): RunEvent {
  const rewardsOf = report.tried.flatMap(({ score }) =>
    Number.isNaN(score.reward) ? [] : [score.reward],
  );
  const mean = rewardsOf.reduce((a, b) => a + b, 0) / Math.max(1, rewardsOf.length);
  const best = s.pool.best;
  const left = s.budget.secondsLeft;
  const episode = episodeOf(report, s);
  const fluency = fluencyOf(report, best?.fluency?.perplexity);
  const parts = partsOf(report);
  return {
    kind: 'step',
    step: report.step,
    reward: report.reward ?? mean,
    ...(report.entropy === undefined ? {} : { entropy: report.entropy }),
    bestPrompt: best?.prompt.text ?? '',
    bestReward: best?.reward ?? report.reward ?? 0,
    promptsPerSecond: s.tried / Math.max(s.budget.seconds, 1e-3),
    evaluations: s.budget.evaluations,
    spent: Math.min(1, s.budget.spent),
    ...(left === undefined ? {} : { secondsLeft: left }),
    ...(episode ? { episode } : {}),
    ...(fluency ? { fluency } : {}),
    ...(parts ? { parts } : {}),
    ...(report.quantities ? { quantities: report.quantities } : {}),
  };
}

/** Of all of a step's prompts together. */
function partsOf({ tried }: StepReport): RewardMeans | undefined {
  const parts = tried.flatMap(({ score }) => score.parts ?? []);
  const scores = tried.flatMap(({ score }) => score.text?.scores ?? []);
  const text = scores.length > 0 ? { outputs: [], scores, failed: 0 } : undefined;
  return rewardMeans({ accuracy: 0, predicted: [], parts, ...(text ? { text } : {}) });
}

function fluencyOf({ tried }: StepReport, best: number | undefined): StepFluency | undefined {
  const priced = tried.flatMap(({ score }) => score.fluency ?? []);
  if (priced.length === 0) return undefined;
  const mean = (f: (of: (typeof priced)[number]) => number) =>
    priced.reduce((sum, of) => sum + f(of), 0) / priced.length;
  return {
    perplexity: Math.exp(mean(({ perplexity }) => Math.log(perplexity))),
    taskReward: mean(({ taskReward }) => taskReward),
    penalty: mean(({ penalty }) => penalty),
    ...(best === undefined ? {} : { best }),
  };
}

/** One of the step's prompts on one example, another pair at every step. */
function episodeOf({ step, tried }: StepReport, s: Progress): Episode | undefined {
  if (tried.length === 0) return undefined;
  const { prompt, score } = tried[step % tried.length]!;
  if (score.examples.length === 0) return undefined;
  return { prompt: prompt.text, ...s.environment.answered(score, step % score.examples.length) };
}
