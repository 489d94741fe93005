import { describe, expect, it } from 'vitest';
import { accuracy, macroF1, perClass, predictLabel } from './class-metrics.ts';

const gold = [0, 0, 0, 1, 1, 2];
const predicted = [0, 0, 1, 1, 0, 1];

describe('class metrics', () => {
  it('accuracy is the share of agreement', () => {
    expect(accuracy(gold, predicted)).toBeCloseTo(3 / 6, 12);
  });

  it('perClass gives recall, precision, F1 and support', () => {
    const [zero, one, two] = perClass(gold, predicted, 3);
    expect(zero).toEqual({ recall: 2 / 3, precision: 2 / 3, f1: 2 / 3, support: 3 });
    expect(one).toEqual({ recall: 1 / 2, precision: 1 / 3, f1: 0.4, support: 2 });
    expect(two).toEqual({ recall: 0, precision: 0, f1: 0, support: 1 });
  });

  it('macroF1 averages over classes that occur', () => {
    const expected = (2 / 3 + 0.4 + 0) / 3;
    expect(macroF1(gold, predicted, 3)).toBeCloseTo(expected, 12);
    expect(macroF1(gold, predicted, 5)).toBeCloseTo(expected, 12);
  });

  it('predictLabel takes the first of the highest', () => {
    expect(predictLabel([1, 3, 3])).toBe(1);
  });

  it('refuses lists of different lengths and none at all', () => {
    expect(() => accuracy([0], [0, 1])).toThrow('internal');
    expect(() => accuracy([], [])).toThrow('internal');
  });
});
