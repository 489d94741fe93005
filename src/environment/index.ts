/** whetstone/environment: task LM, examples and reward, asked by prompts. */
export type { Charge, Fluency } from './charge.ts';
export { checkTask } from './check-task.ts';
export {
  type Compose,
  Environment,
  type EnvironmentOptions,
  EXAMPLES_PER_PASS,
  type PromptScore,
} from './environment.ts';
export { GradedAnswers } from './graded-answers.ts';
export { type Layout, layoutOf, type Prompt } from './layout.ts';
export { TaskLmPrograms } from './programs.ts';
export { PromptGradient, type PromptSlope, type SlopeOptions } from './prompt-gradient.ts';
export {
  answerScores,
  joined,
  restrict,
  type ScorePart,
  scoreOf,
  type TextAnswers,
} from './prompt-score.ts';
export type { AnsweredExample, PromptScorer } from './prompt-scorer.ts';
export { noRecorder, packDoubles, type Recorder, unpackDoubles } from './recorder.ts';
export {
  AnswerMemory,
  readable,
  requestOf,
  TextEnvironment,
  type TextEnvironmentOptions,
} from './text-environment.ts';
