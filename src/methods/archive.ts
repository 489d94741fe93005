/**
 * The best episodes so far, to set out from again: an episode of the archive is written once more with
 * some of its tokens left to the policy. What the policy then writes is judged against the parent.
 *
 * Source: Ecoffet et al. 2021, First return, then explore, arXiv 2004.12919; here the return is free,
 * since tokens can be set.
 */
import type { Plan } from '../policy/index.ts';
import type { Rng } from '../util/rng.ts';
import type { ScoredEpisode } from './policy-loop.ts';

export interface Departure {
  readonly parent: ScoredEpisode;
  readonly plan: Plan;
}

export class Archive {
  private kept: ScoredEpisode[] = [];
  private readonly size: number;

  constructor(size: number) {
    this.size = size;
  }

  get isEmpty(): boolean {
    return this.kept.length === 0;
  }

  /** What is kept, the best first. */
  get episodes(): readonly ScoredEpisode[] {
    return this.kept;
  }

  add(episodes: readonly ScoredEpisode[]): void {
    const byText = new Map([...this.kept, ...episodes].map((e) => [e.prompt.text, e]));
    this.kept = [...byText.values()]
      .sort((a, b) => b.score.reward - a.score.reward)
      .slice(0, this.size);
  }

  /** An episode, better ones more often, with one or two of its tokens or its end left open. */
  depart(rng: Rng): Departure {
    const rank = Math.floor(this.kept.length * rng.next() ** 2);
    const parent = this.kept[rank]!;
    const { actions } = parent.episode;
    const T = actions.length;
    const isFree = actions.map(() => false);
    const at = rng.integer(T);
    const kind = rng.next();
    isFree[at] = true;
    if (kind < 0.25) isFree[rng.integer(T)] = true;
    else if (kind < 0.5) isFree.fill(true, at);
    return { parent, plan: { actions, isFree } };
  }
}
