/**
 * Results by prompt and part (a block of examples, an example): none is computed twice. Between two calls
 * the oldest prompts make room; what a call works on stays until it ends, however much that is.
 */
export class KeptResults<Part, Result> {
  private readonly prompts = new Map<string, Map<Part, Result>>();
  private readonly limit: number;
  private readonly sizeOf: (result: Result) => number;
  private size = 0;
  /** Calls under way. */
  private calls = 0;

  /** Keeps results of the size `limit` between calls. */
  constructor(limit: number, sizeOf: (result: Result) => number = () => 1) {
    this.limit = limit;
    this.sizeOf = sizeOf;
  }

  get isEmpty(): boolean {
    return this.size === 0;
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

  get(prompt: string, part: Part): Result | undefined {
    return this.prompts.get(prompt)?.get(part);
  }

  set(prompt: string, part: Part, result: Result): void {
    let known = this.prompts.get(prompt);
    if (!known) {
      known = new Map();
      this.prompts.set(prompt, known);
    }
    const before = known.get(part);
    this.size += this.sizeOf(result) - (before === undefined ? 0 : this.sizeOf(before));
    known.set(part, result);
    this.makeRoom();
  }

  private makeRoom(): void {
    if (this.calls > 0) return;
    for (const [prompt, known] of this.prompts) {
      if (this.size <= this.limit) return;
      for (const result of known.values()) this.size -= this.sizeOf(result);
      this.prompts.delete(prompt);
    }
  }
}
