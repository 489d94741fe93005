/** whetstone/policy: the LM that writes prompts, and what of it learns. */
export { type ActionSpace, actionSpaceOf } from './action-space.ts';
export { contextIds, describeTask, policyContextTokens } from './context.ts';
export {
  FluencyMeter,
  type FluencyOptions,
  fluencyCharge,
  perplexityOf,
  type Reading,
} from './fluency.ts';
export {
  type ContextPart,
  contextParts,
  drawExamples,
  type MessageOptions,
  messagesFor,
  ownParts,
  type PolicyContext,
  type ShownExample,
} from './messages.ts';
export {
  type Episode,
  type Plan,
  Policy,
  type PolicyLearner,
  type PolicyOptions,
} from './policy.ts';
export { sampleAction } from './sampling.ts';
export { asPrompt, PromptWriter, type WriterOptions, type WrittenPrompt } from './writer.ts';
