/**
 * Metrics of predicted against gold labels: accuracy, macro-F1, and each class's recall, precision
 * and support. Where a ratio has no cases it is 0, as in scikit-learn's `zero_division=0`.
 */
import { assert } from '../../errors.ts';

export interface ClassMetrics {
  /** Share of the class's examples that were found. */
  readonly recall: number;
  /** Share of the predictions of this class that were right. */
  readonly precision: number;
  readonly f1: number;
  /** Number of examples whose gold label this is. */
  readonly support: number;
}

type Labels = ArrayLike<number>;

/** Index of the highest logit; the first of equals. */
export function predictLabel(logits: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[best]!) best = i;
  return best;
}

/** Share of labels that agree, in [0, 1]. Both lists must be of the same length, at least 1. */
export function accuracy(gold: Labels, predicted: Labels): number {
  checkLengths(gold, predicted);
  let right = 0;
  for (let i = 0; i < gold.length; i++) if (gold[i] === predicted[i]) right++;
  return right / gold.length;
}

/** Unweighted mean of F1 over the classes that occur in either list. */
export function macroF1(gold: Labels, predicted: Labels, classCount: number): number {
  const counts = countByClass(gold, predicted, classCount);
  const present = counts.filter((c) => c.gold + c.predicted > 0).map(metricsOf);
  return present.reduce((sum, { f1 }) => sum + f1, 0) / present.length;
}

/** Metrics of each class, in the order of `Task.classes`. */
export function perClass(gold: Labels, predicted: Labels, classCount: number): ClassMetrics[] {
  return countByClass(gold, predicted, classCount).map(metricsOf);
}

interface ClassCount {
  gold: number;
  predicted: number;
  both: number;
}

function countByClass(gold: Labels, predicted: Labels, classCount: number): ClassCount[] {
  checkLengths(gold, predicted);
  const counts = Array.from({ length: classCount }, () => ({ gold: 0, predicted: 0, both: 0 }));
  for (let i = 0; i < gold.length; i++) {
    const [g, p] = [gold[i]!, predicted[i]!];
    assert(counts[g] && counts[p], `label ${g} or ${p} is not below ${classCount}`);
    counts[g].gold++;
    counts[p].predicted++;
    if (g === p) counts[g].both++;
  }
  return counts;
}

function metricsOf({ gold, predicted, both }: ClassCount): ClassMetrics {
  const ratio = (part: number, whole: number) => (whole === 0 ? 0 : part / whole);
  return {
    recall: ratio(both, gold),
    precision: ratio(both, predicted),
    f1: ratio(2 * both, gold + predicted),
    support: gold,
  };
}

function checkLengths(gold: Labels, predicted: Labels): void {
  assert(gold.length > 0, 'metrics of no examples');
  assert(gold.length === predicted.length, `${gold.length} gold, ${predicted.length} predicted`);
}
