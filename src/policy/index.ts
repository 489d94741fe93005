/** whetstone/policy: the LM that writes prompts, and what of it learns. */
export { type ActionSpace, actionSpaceOf } from './action-space.ts';
export { describeTask } from './context.ts';
export { type Episode, type Learner, type Plan, Policy, type PolicyOptions } from './policy.ts';
export { sampleAction } from './sampling.ts';
