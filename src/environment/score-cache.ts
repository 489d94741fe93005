/** Class scores by prompt and example: no pair is computed twice. The oldest prompts make room. */

/** Most numbers kept: 64 million floats are 256 MB. */
const LIMIT = 64e6;

export class ScoreCache {
  private readonly rows = new Map<string, Float32Array>();
  private readonly examples: number;
  private readonly classes: number;

  constructor(examples: number, classes: number) {
    this.examples = examples;
    this.classes = classes;
  }

  has(prompt: string, example: number): boolean {
    const row = this.rows.get(prompt);
    return row !== undefined && !Number.isNaN(row[example * this.classes]!);
  }

  set(prompt: string, example: number, scores: Float32Array): void {
    let row = this.rows.get(prompt);
    if (!row) {
      row = new Float32Array(this.examples * this.classes).fill(Number.NaN);
      this.rows.set(prompt, row);
      // A prompt of the step in hand is never the oldest: a step holds far fewer than the limit.
      if (this.rows.size * row.length > LIMIT) this.rows.delete(this.rows.keys().next().value!);
    }
    row.set(scores, example * this.classes);
  }

  /** Scores [examples, C]; not a number where nothing was computed. */
  get(prompt: string): Float32Array {
    return this.rows.get(prompt) ?? new Float32Array(this.examples * this.classes).fill(Number.NaN);
  }
}
