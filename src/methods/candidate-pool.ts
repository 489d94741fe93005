/** The best distinct prompts that a method has tried, by train reward. */
import type { Prompt, PromptScore } from '../environment/index.ts';

export interface Candidate {
  readonly prompt: Prompt;
  readonly reward: number;
  readonly accuracy: number;
}

export class CandidatePool {
  private readonly byText = new Map<string, Candidate>();
  private readonly limit: number;

  /** Keeps the `limit` best. */
  constructor(limit = 64) {
    this.limit = limit;
  }

  add(prompt: Prompt, { reward, accuracy }: PromptScore): void {
    if (!Number.isFinite(reward)) return;
    this.byText.set(prompt.text, { prompt, reward, accuracy });
    if (this.byText.size > 2 * this.limit) this.shrink();
  }

  get best(): Candidate | undefined {
    return this.top(1)[0];
  }

  top(count: number): Candidate[] {
    return [...this.byText.values()].sort((a, b) => b.reward - a.reward).slice(0, count);
  }

  private shrink(): void {
    const kept = this.top(this.limit);
    this.byText.clear();
    for (const candidate of kept) this.byText.set(candidate.prompt.text, candidate);
  }
}
