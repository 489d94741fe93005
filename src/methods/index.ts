/** whetstone/methods: every way to find a prompt, one file each and one line here. */

import { autoprompt } from './autoprompt.ts';
import { fineTune } from './fine-tune.ts';
import { manual } from './manual.ts';
import { policyGradient } from './policy-gradient.ts';
import { random } from './random.ts';
import { softPrompt } from './soft-prompt.ts';
import { softQ } from './soft-q.ts';

export const methods = {
  'soft-q': softQ,
  'policy-gradient': policyGradient,
  autoprompt,
  manual,
  random,
  'soft-prompt': softPrompt,
  'fine-tune': fineTune,
} as const;

export type MethodName = keyof typeof methods;

export { Budget } from './budget.ts';
export { type Candidate, CandidatePool } from './candidate-pool.ts';
export {
  type LabelWordsFound,
  type RankedWord,
  searchCueWords,
  searchLabelWords,
} from './label-words.ts';
export { humanCandidates } from './manual.ts';
export type {
  LmKind,
  Method,
  MethodContext,
  SolutionContext,
  StepReport,
} from './method.ts';
export {
  type Solution,
  type SolutionKind,
  type TensorSolution,
  type TextSolution,
  titleOf,
} from './solution.ts';
