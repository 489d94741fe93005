/** The best distinct prompts that a method has tried, by train reward. */
import type { Fluency, Prompt, PromptScore } from '../environment/index.ts';
import type { Placement } from './solution.ts';

export interface Candidate extends Placement {
  readonly prompt: Prompt;
  readonly reward: number;
  readonly accuracy: number;
  /** Evaluations that reward and accuracy are the means of. */
  readonly evaluations: number;
  readonly fluency?: Fluency | undefined;
}

export interface PoolState {
  readonly known: readonly Candidate[];
  readonly refused: number;
}

export class CandidatePool {
  private readonly known = new Map<string, Candidate>();
  private readonly limit: number;
  /** The least perplexity among prompts that were refused for theirs. */
  refused = Number.POSITIVE_INFINITY;

  /** Keeps the `limit` best. */
  constructor(limit = 256) {
    this.limit = limit;
  }

  /** Of a prompt that was scored on several minibatches, the means over all of them are kept. */
  add(prompt: Prompt, score: PromptScore, placement: Placement = {}): void {
    const { reward, accuracy, examples, fluency } = score;
    if (!Number.isFinite(reward)) return;
    if (fluency?.isOverLimit) {
      this.refused = Math.min(this.refused, fluency.perplexity);
      return;
    }
    const evaluations = examples.length;
    const candidate = { prompt, reward, accuracy, evaluations, fluency, ...placement };
    const before = this.known.get(keyOf(candidate));
    this.put(before === undefined ? candidate : joined(before, candidate));
    if (this.known.size > 2 * this.limit) this.shrink();
  }

  get best(): Candidate | undefined {
    return this.top(1)[0];
  }

  top(count: number): Candidate[] {
    return [...this.known.values()].sort((a, b) => b.reward - a.reward).slice(0, count);
  }

  /** What is known, to be stored with a run. */
  state(): PoolState {
    return { known: [...this.known.values()], refused: this.refused };
  }

  /** Goes on from a stored state. */
  goOn({ known, refused }: PoolState): void {
    this.known.clear();
    for (const candidate of known) this.put(candidate);
    this.refused = refused;
  }

  private put(candidate: Candidate): void {
    this.known.set(keyOf(candidate), candidate);
  }

  private shrink(): void {
    const kept = this.top(this.limit);
    this.known.clear();
    for (const candidate of kept) this.put(candidate);
  }
}

function keyOf({ template, prompt }: Candidate): string {
  return `${template ?? ''}\n${prompt.text}`;
}

function joined(a: Candidate, b: Candidate): Candidate {
  const evaluations = a.evaluations + b.evaluations;
  const share = b.evaluations / evaluations;
  const mean = (x: number, y: number) => x + share * (y - x);
  return {
    ...b,
    reward: mean(a.reward, b.reward),
    accuracy: mean(a.accuracy, b.accuracy),
    evaluations,
  };
}
