/** whetstone: load a task, open a language model, find a prompt. Deeper rooms have subpaths. */
export {
  Environment,
  type EnvironmentOptions,
  type Prompt,
  type PromptScore,
} from './environment/index.ts';
export {
  BudgetError,
  ConfigError,
  DataError,
  EngineError,
  NetworkError,
  PauseError,
  ShapeError,
  StoreError,
  WeightsError,
  WhetstoneError,
} from './errors.ts';
export { type MethodName, methods } from './methods/index.ts';
export { LanguageModel } from './models/language-model.ts';
export { listModels, resolveModel } from './models/model-store.ts';
export { type Compared, type CompareOptions, compare } from './runs/compare.ts';
export type { CompareEvent, CompareResult } from './runs/compare-events.ts';
export { type Plan, planOf } from './runs/compare-plan.ts';
export { type Config, loadConfig, parseConfig } from './runs/config.ts';
export { evaluate } from './runs/evaluate.ts';
export type { EvaluateResult, OptimizeResult, RunEvent } from './runs/events.ts';
export { type InspectOptions, inspect } from './runs/inspect/inspect.ts';
export type { InspectResult } from './runs/inspect/result.ts';
export {
  branchRun,
  deleteRun,
  diffRuns,
  type RunDiff,
  requestPause,
  requestStop,
  resumeRun,
} from './runs/lifecycle.ts';
export { openModel } from './runs/open-model.ts';
export { optimize } from './runs/optimize.ts';
export { writeReport } from './runs/report/report.ts';
export { openStore, type RunStore } from './runs/store.ts';
export { demoTaskConfig, loadTask, rewards, type Task } from './tasks/index.ts';
export { Engine } from './tensor/index.ts';
