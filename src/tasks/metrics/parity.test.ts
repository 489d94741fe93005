/**
 * Against the reference implementations: sacreBLEU, rouge-score, SQuAD's script, on the pairs that
 * test/fixtures/make_metrics.py makes. All numbers agree to 1e-9; a few differ in the last bits,
 * because sums are taken in another order.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { type Answer, type MetricConfig, metricOf } from './index.ts';

interface Pair {
  readonly output: string;
  readonly golds: string[];
  readonly rougeL: [precision: number, recall: number, f1: number];
  readonly [name: string]: unknown;
}
interface Corpus {
  readonly start: number;
  readonly end: number;
  readonly [name: string]: number;
}

const file = new URL('../../../test/fixtures/metrics.json', import.meta.url);
const { pairs, corpora } = JSON.parse(readFileSync(file, 'utf8')) as {
  pairs: Pair[];
  corpora: Corpus[];
};
const answers: Answer[] = pairs.map(({ output, golds }) => ({ output, golds, input: '' }));

/** Pairs whose scores are further apart than 1e-9. */
async function differences(config: MetricConfig, reference: (pair: Pair) => number) {
  const scores = await (await metricOf(config)).score(answers);
  return pairs
    .map((pair, i) => ({ ...pair, got: scores[i], want: reference(pair) }))
    .filter(({ got, want }) => !(Math.abs(got! - want) <= 1e-9));
}

describe('metrics agree with their references', () => {
  it('on hundreds of pairs, most of them neither equal nor disjoint', () => {
    expect(pairs.length).toBeGreaterThan(300);
    for (const name of ['tokenF1', 'chrf', 'bleu', 'edit']) {
      const between = pairs.filter((pair) => Number(pair[name]) > 0 && Number(pair[name]) < 1);
      expect(between.length).toBeGreaterThan(100);
    }
  });

  it.each<[MetricConfig, (pair: Pair) => number]>([
    ['normalised', (pair) => pair.normalised as number],
    ['token-f1', (pair) => pair.tokenF1 as number],
    [{ name: 'rouge-l', measure: 'precision' }, (pair) => pair.rougeL[0]],
    [{ name: 'rouge-l', measure: 'recall' }, (pair) => pair.rougeL[1]],
    ['rouge-l', (pair) => pair.rougeL[2]],
    ['chrf', (pair) => pair.chrf as number],
    [{ name: 'chrf', beta: 1 }, (pair) => pair.chrf1 as number],
    [{ name: 'chrf', wordOrder: 2 }, (pair) => pair['chrf++'] as number],
    ['bleu', (pair) => pair.bleu as number],
    [{ name: 'bleu', tokens: 'characters' }, (pair) => pair.bleuChar as number],
    ['edit-similarity', (pair) => pair.edit as number],
  ])('%j', async (config, reference) => {
    expect(await differences(config, reference)).toEqual([]);
  });

  it.each<[MetricConfig, string]>([
    ['chrf', 'chrf'],
    [{ name: 'chrf', wordOrder: 2 }, 'chrf++'],
    ['bleu', 'bleu'],
    [{ name: 'bleu', tokens: 'characters' }, 'bleuChar'],
  ])('%j of a whole set', async (config, name) => {
    const { corpus } = await metricOf(config);
    for (const each of corpora) {
      expect(corpus!(answers.slice(each.start, each.end))).toBeCloseTo(each[name]!, 9);
    }
  });
});
