/** The best distinct prompts that a method has tried, by train reward. */
import type { Prompt, PromptScore } from '../environment/index.ts';

export interface Candidate {
  readonly prompt: Prompt;
  readonly reward: number;
  readonly accuracy: number;
  /** The template that the prompt stands in, where that is not the task's own. */
  readonly template?: string | undefined;
}

export class CandidatePool {
  private readonly known = new Map<string, Candidate>();
  private readonly limit: number;

  /** Keeps the `limit` best. */
  constructor(limit = 256) {
    this.limit = limit;
  }

  add(prompt: Prompt, { reward, accuracy }: PromptScore, template?: string): void {
    if (!Number.isFinite(reward)) return;
    this.put({ prompt, reward, accuracy, template });
    if (this.known.size > 2 * this.limit) this.shrink();
  }

  get best(): Candidate | undefined {
    return this.top(1)[0];
  }

  top(count: number): Candidate[] {
    return [...this.known.values()].sort((a, b) => b.reward - a.reward).slice(0, count);
  }

  private put(candidate: Candidate): void {
    this.known.set(`${candidate.template ?? ''}\n${candidate.prompt.text}`, candidate);
  }

  private shrink(): void {
    const kept = this.top(this.limit);
    this.known.clear();
    for (const candidate of kept) this.put(candidate);
  }
}
