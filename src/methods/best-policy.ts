/**
 * What a training that writes a prompt for each input leaves: the policy as it was when validation
 * examples fared best. Looking is paid for like every other evaluation.
 */
import type { Parameters } from '../tensor/index.ts';
import type { MethodContext } from './method.ts';
import { type OpenPolicy, scoreWritten } from './written-prompts.ts';

/** The policy as it was when validation examples fared best with the prompts that it writes for them. */
export class BestPolicy {
  parameters: Parameters | undefined;
  private readonly context: MethodContext;
  private readonly policy: OpenPolicy;
  private reward = Number.NEGATIVE_INFINITY;

  constructor(context: MethodContext, policy: OpenPolicy) {
    this.context = context;
    this.policy = policy;
  }

  async look(): Promise<void> {
    const { context, policy } = this;
    if (this.parameters === policy.writer.parameters) return;
    const { validation, budget } = context;
    const { reward } = await scoreWritten(context, policy, validation, 'int8');
    budget.spend(validation.length);
    if (reward <= this.reward) return;
    this.reward = reward;
    this.parameters = policy.writer.parameters;
  }
}
