/** Scores of the classes after texts: label words' logits, or log-probabilities where words are several tokens. */
import type { PrefixCache } from '../models/programs.ts';
import { continuations, type LabelWords } from './label-words.ts';
import type { TaskLmPrograms } from './programs.ts';

/** Whole texts of one pass. */
const TEXTS_PER_PASS = 32;

type Ids = readonly number[];

export class ClassScores {
  private readonly programs: TaskLmPrograms;
  private readonly labels: LabelWords;
  private readonly answerPlace: (ids: Ids) => number;

  /** `answerPlace`: index of the token of a whole text at which the answer is read. */
  constructor(programs: TaskLmPrograms, labels: LabelWords, answerPlace: (ids: Ids) => number) {
    this.programs = programs;
    this.labels = labels;
    this.answerPlace = answerPlace;
  }

  /** Tokens of the longest word that are read behind a text. */
  get wordTokens(): number {
    return this.labels.words.reduce((n, word) => Math.max(n, word.length - 1), 0);
  }

  /** [G, N, C]: N branches after every prefix. */
  async ofBranches(cache: PrefixCache, branches: readonly Ids[]): Promise<Float32Array> {
    const brancher = await this.programs.brancher(this.want);
    const { words } = this.labels;
    const rows = cache.lengths.length * branches.length;
    const C = words.length;
    const out = new Float32Array(rows * C);
    for (const { prefix, targets } of continuations(words)) {
      const ids = targets.map(({ id }) => id);
      const whole = branches.map((branch) => [...branch, ...prefix]);
      const values = await brancher.run(cache, whole, ids);
      for (let r = 0; r < rows; r++) {
        targets.forEach(({ words: at }, t) => {
          for (const c of at) out[r * C + c]! += values[r * ids.length + t]!;
        });
      }
    }
    return out;
  }

  /** [texts, C]: whole texts, nothing cached. */
  async ofTexts(
    texts: readonly Ids[],
    onProgress: (share: number) => void = () => {},
  ): Promise<Float32Array> {
    const scorer = await this.programs.scorer(this.want);
    const { words } = this.labels;
    const C = words.length;
    const out = new Float32Array(texts.length * C);
    const order = texts.map((_, i) => i).sort((a, b) => texts[a]!.length - texts[b]!.length);
    for (let i = 0; i < order.length; i += TEXTS_PER_PASS) {
      onProgress(i / order.length);
      const rows = order.slice(i, i + TEXTS_PER_PASS);
      for (const { prefix, targets } of continuations(words)) {
        const batch = rows.map((r) => [...texts[r]!, ...prefix]);
        const values = await scorer.run(
          batch,
          batch.map((ids) => this.answerPlace(ids)),
          targets.map(({ id }) => id),
        );
        rows.forEach((r, b) => {
          targets.forEach(({ words: at }, t) => {
            for (const c of at) out[r * C + c]! += values[b * targets.length + t]!;
          });
        });
      }
    }
    return out;
  }

  private get want(): 'labels' | 'labelLogProbs' {
    return this.labels.isSingle ? 'labels' : 'labelLogProbs';
  }
}
