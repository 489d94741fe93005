/** whetstone/methods: every way to find a prompt, one file each and one line here. */
import { autoprompt } from './autoprompt.ts';
import { evolution } from './evolution.ts';
import { fewShot } from './few-shot.ts';
import { fineTune } from './fine-tune.ts';
import { grpo } from './grpo.ts';
import { manual } from './manual.ts';
import { policyGradient } from './policy-gradient.ts';
import { random } from './random.ts';
import { reflect } from './reflect.ts';
import { softPrompt } from './soft-prompt.ts';
import { softQ } from './soft-q.ts';

export const methods = {
  'soft-q': softQ,
  'policy-gradient': policyGradient,
  grpo,
  autoprompt,
  manual,
  'few-shot': fewShot,
  evolution,
  reflect,
  random,
  'soft-prompt': softPrompt,
  'fine-tune': fineTune,
} as const;

export type MethodName = keyof typeof methods;

export { Budget, type BudgetLimits, SpentError, TimeOverError } from './budget.ts';
export { type Candidate, CandidatePool, type PoolState } from './candidate-pool.ts';
export { humanCandidates, ordinaryPrompt } from './human-prompts.ts';
export {
  bestLabelWords,
  type LabelWordsFound,
  type RankedWord,
  searchCueWords,
  searchLabelWords,
} from './label-words.ts';
export {
  anyTaskLm,
  type CheckAbout,
  isOpen,
  type LmKind,
  type Method,
  type MethodContext,
  method,
  openTaskLms,
  type PlanAbout,
  type PlannedProposals,
  type PromptContext,
  type SolutionContext,
  type StepReport,
  type WriterHost,
} from './method.ts';
export { promptOf } from './policy-loop.ts';
export {
  type Solution,
  type SolutionKind,
  type TensorSolution,
  type TextSolution,
  titleOf,
} from './solution.ts';
export { messagesOf, type OwnContext, type WriterRecipe } from './writer-recipe.ts';
export { openPolicy, writePrompts } from './written-prompts.ts';
