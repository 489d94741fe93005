/**
 * The best prompts so far, to set out from again: a prompt of the archive is written once more with
 * some of its tokens left to the policy. What the policy then writes is judged against the parent.
 *
 * Source: Ecoffet et al. 2021, First return, then explore, arXiv 2004.12919; here the return is free,
 * since tokens can be set.
 */
import type { Plan } from '../policy/index.ts';
import type { Rng } from '../util/rng.ts';

export interface Kept {
  /** Vocabulary ids, as many as a prompt has, or fewer. */
  readonly ids: readonly number[];
  readonly text: string;
  readonly reward: number;
}

export interface Departure {
  readonly parent: Kept;
  readonly plan: Plan;
}

export class Archive {
  private kept: readonly Kept[] = [];
  private readonly size: number;
  private readonly tokens: number;

  /** Keeps the `size` best; every plan is one of `tokens` tokens. */
  constructor(size: number, tokens: number) {
    this.size = size;
    this.tokens = tokens;
  }

  get isEmpty(): boolean {
    return this.kept.length === 0;
  }

  /** What is kept, the best first. */
  get prompts(): readonly Kept[] {
    return this.kept;
  }

  add(prompts: readonly Kept[]): void {
    const byText = new Map([...this.kept, ...prompts].map((kept) => [kept.text, kept]));
    this.kept = [...byText.values()].sort((a, b) => b.reward - a.reward).slice(0, this.size);
  }

  /**
   * A prompt, better ones more often, with one or two of its tokens or its end left open; of one that
   * is short, the place before it alone.
   */
  depart(rng: Rng): Departure {
    const rank = Math.floor(this.kept.length * rng.next() ** 2);
    const parent = this.kept[rank]!;
    const { ids } = parent;
    const T = this.tokens;
    const lead = T - ids.length;
    if (lead > 0) {
      const plan = [...Array<number>(lead).fill(0), ...ids];
      return { parent, plan: { ids: plan, isFree: plan.map((_, t) => t < lead) } };
    }
    const isFree = ids.map(() => false);
    const at = rng.integer(T);
    const kind = rng.next();
    isFree[at] = true;
    if (kind < 0.25) isFree[rng.integer(T)] = true;
    else if (kind < 0.5) isFree.fill(true, at);
    return { parent, plan: { ids, isFree } };
  }
}
