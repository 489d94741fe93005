/**
 * Class scores by prompt and block of examples: no pair is computed twice. Between two calls the oldest
 * prompts make room; what a call works on stays until it ends, however much that is.
 */

/** Most numbers kept between calls: 64 million floats are 256 MB. */
const LIMIT = 64e6;

export class ScoreCache {
  private readonly prompts = new Map<string, Map<number, Float32Array>>();
  private readonly limit: number;
  /** Numbers that are kept. */
  private size = 0;
  /** Calls under way. */
  private calls = 0;

  constructor(limit = LIMIT) {
    this.limit = limit;
  }

  /** Runs a call of which nothing is given up before it ends. */
  async during<T>(call: () => Promise<T>): Promise<T> {
    this.calls++;
    try {
      return await call();
    } finally {
      this.calls--;
      this.makeRoom();
    }
  }

  /** Scores [E, C] on a block's examples; undefined where they are not known. */
  get(prompt: string, block: number): Float32Array | undefined {
    return this.prompts.get(prompt)?.get(block);
  }

  set(prompt: string, block: number, scores: Float32Array): void {
    let known = this.prompts.get(prompt);
    if (!known) {
      known = new Map();
      this.prompts.set(prompt, known);
    }
    this.size += scores.length - (known.get(block)?.length ?? 0);
    known.set(block, scores);
    this.makeRoom();
  }

  private makeRoom(): void {
    if (this.calls > 0) return;
    for (const [prompt, known] of this.prompts) {
      if (this.size <= this.limit) return;
      for (const scores of known.values()) this.size -= scores.length;
      this.prompts.delete(prompt);
    }
  }
}
