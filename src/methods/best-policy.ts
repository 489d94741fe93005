/**
 * What a training that writes a prompt for each input leaves: the policy as it was when validation
 * examples fared best with the prompts that it writes for them. Looks are paid for like every other
 * evaluation; the examples' keys and values are kept from one look to the next, and so are the scores
 * of prompts that it has written before.
 */
import type { Parameters } from '../tensor/index.ts';
import { type JudgedContext, judgedContexts } from './contexts.ts';
import type { WriterContext } from './method.ts';
import { likeliest, type OpenPolicy } from './written-prompts.ts';

export interface BestState {
  readonly best: number;
  /** Undefined: those that learn. */
  readonly parameters: Parameters | undefined;
  readonly latest: { readonly reward: number };
  /** Whether the latest look was at those that learn. */
  readonly isLooked: boolean;
}

export class BestPolicy {
  parameters: Parameters | undefined;
  /** Mean reward on validation at the latest look. */
  latest: { readonly reward: number } | undefined;
  private best = Number.NEGATIVE_INFINITY;
  private readonly policy: OpenPolicy;
  private readonly contexts: readonly JudgedContext[];
  private looked: Parameters | undefined;

  constructor(context: WriterContext, policy: OpenPolicy) {
    this.policy = policy;
    this.contexts = judgedContexts(context, policy.recipe, context.validation);
  }

  /** What a later process goes on from; undefined before the first look. */
  after(): BestState | undefined {
    const { best, latest, looked } = this;
    if (!this.parameters || !latest) return undefined;
    const learning = this.policy.writer.parameters;
    const parameters = this.parameters === learning ? undefined : this.parameters;
    return { best, latest, parameters, isLooked: looked === learning };
  }

  goOn({ best, latest, parameters, isLooked }: BestState): void {
    const learning = this.policy.writer.parameters;
    this.best = best;
    this.latest = latest;
    this.parameters = parameters ?? learning;
    this.looked = isLooked ? learning : undefined;
  }

  async look(): Promise<void> {
    const { policy, contexts } = this;
    const { parameters } = policy.writer;
    if (this.looked === parameters) return;
    this.looked = parameters;
    const prompts = await likeliest(policy.writer, contexts);
    let sum = 0;
    let examples = 0;
    for (const [c, context] of contexts.entries()) {
      const [score] = await context.judge([{ text: prompts[c]!.text }]);
      // Of answers in text some may not have come.
      const { length } = score!.examples;
      if (length === 0) continue;
      sum += score!.reward * length;
      examples += length;
    }
    if (examples === 0) return;
    this.latest = { reward: sum / examples };
    if (this.latest.reward <= this.best) return;
    this.best = this.latest.reward;
    this.parameters = parameters;
  }
}
