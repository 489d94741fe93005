/** Tasks: data files, splits, templates, label words, metrics and rewards. */
export {
  dataFilesSchema,
  type ParsedTaskConfig,
  splitSharesSchema,
  type TaskConfig,
  taskConfigSchema,
} from './config.ts';
export { readTable, type TableRow } from './data-file.ts';
export { demoFolder, demoTaskConfig } from './demo.ts';
export { type TaskKind, type TaskKindName, taskKindNames, taskKinds } from './kinds/index.ts';
export { answeredInText, LABEL_MATCH, labelIn, labelMatch } from './label-answers.ts';
export { type LoadTaskOptions, loadTask } from './load-task.ts';
export { isTextTask, loadTextTask } from './load-text-task.ts';
export {
  hasMessageSlot,
  type MessageTemplate,
  type MessageValues,
  parseMessageTemplate,
  renderMessages,
} from './message-template.ts';
export {
  accuracy,
  type ClassMetrics,
  macroF1,
  perClass,
  predictLabel,
} from './metrics/class-metrics.ts';
export {
  type Answer,
  checkJudge,
  type Embed,
  estimateJudgeNoise,
  type JudgeNoise,
  type Metric,
  type MetricConfig,
  type MetricContext,
  type MetricName,
  metricNames,
  metricOf,
  metricSchema,
  metrics,
  type OwnMetric,
  setScore,
} from './metrics/index.ts';
export { type AnswerReward, answerReward, type RewardedAnswer } from './rewards/answer-reward.ts';
export {
  type ComposedReward,
  type ComposedRewardOptions,
  charactersOf,
  clipped,
  composedRewardSchema,
  composeReward,
  metricsOf,
} from './rewards/composed.ts';
export { type RewardFunction, type RewardName, rewardNames, rewards } from './rewards/index.ts';
export { messagesSchema } from './row-context.ts';
export { sealSplit } from './sealed-split.ts';
export { apportion, sampleStratified, splitStratified, takeShots } from './split.ts';
export type {
  AnyExample,
  AnyTask,
  Example,
  SealedSplit,
  Task,
  TaskClass,
  TextExample,
  TextTask,
} from './task.ts';
export {
  causalTemplate,
  checkTemplateFits,
  hasSlot,
  maskedTemplate,
  parseTemplate,
  renderTemplate,
  type Slot,
  type SlotValues,
  splitAtPrompt,
  type Template,
  type TemplatePart,
} from './template.ts';
export { resolveClasses } from './verbalizer.ts';
