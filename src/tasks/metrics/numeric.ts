/**
 * The last number of the output against the last of the gold answer: for arithmetic, where the
 * working stands before the result (GSM8K's "#### 72" is such a gold).
 *
 *   right  ⟺  |output − gold| <= max(tolerance, relativeTolerance · |gold|)
 *
 * Digits of every script are read; numbers are doubles. Fractions (1/2), percent signs, units and
 * number words are not understood: "50%" is 50.
 */
import { z } from 'zod';
import { bestOf, eachAnswer, metric, refuseGolds } from './metric.ts';

/** A minus after a letter or digit is a dash: "5-3" holds 5 and 3. */
const SIGN = /(?:(?<![\p{L}\p{N})])[-+−])?[$€£¥₹]?/u.source;
const GROUPED = (group: string) => `[0-9]{1,3}(?:${group}[0-9]{3})+(?![0-9])`;
const NUMBERS = {
  '.': numberPattern("[,'’\u00a0\u202f]", '[.]'),
  ',': numberPattern("[.'’\u00a0\u202f]", ','),
};

function numberPattern(group: string, point: string): RegExp {
  const whole = `(?:${GROUPED(group)}|[0-9]+)(?:${point}[0-9]+)?`;
  const part = `(?<![0-9])${point}[0-9]+`;
  return new RegExp(`${SIGN}(?:${whole}|${part})(?:[eE][-+]?[0-9]+)?`, 'gu');
}

/** The last number that stands in a text, if any does. */
export function lastNumber(text: string, decimal: '.' | ',' = '.'): number | undefined {
  const found = westernDigits(text).match(NUMBERS[decimal])?.at(-1);
  if (found === undefined) return undefined;
  const plain = found.replace(/[^-−0-9.,eE+]/gu, '').replace('−', '-');
  return Number(
    decimal === '.' ? plain.replaceAll(',', '') : plain.replaceAll('.', '').replace(',', '.'),
  );
}

/** Decimal digits of other scripts as 0 to 9: Unicode lists each script's ten in order. */
function westernDigits(text: string): string {
  return text
    .replace(/(?![0-9])\p{Nd}/gu, (digit) => {
      let zero = digit.codePointAt(0)!;
      while (/^\p{Nd}$/u.test(String.fromCodePoint(zero - 1))) zero--;
      return String((digit.codePointAt(0)! - zero) % 10);
    })
    .replaceAll('٫', '.')
    .replaceAll('٬', ',');
}

export const numeric = metric({
  name: 'numeric',
  summary: 'The last number of the output is that of a gold answer, within a tolerance.',
  options: {
    tolerance: z.number().min(0).default(0).describe('Largest difference that is right'),
    relativeTolerance: z
      .number()
      .min(0)
      .default(0)
      .describe('The same as a share of the gold number; the larger of both counts'),
    decimal: z
      .enum(['.', ','])
      .default('.')
      .describe("The decimal mark; the other one and ' group thousands"),
  },
  open({ tolerance, relativeTolerance, decimal }) {
    const isRight = (output: number | undefined, gold: number | undefined) =>
      output !== undefined &&
      gold !== undefined &&
      (output === gold ||
        Math.abs(output - gold) <= Math.max(tolerance, relativeTolerance * Math.abs(gold)));
    return eachAnswer(
      'numeric',
      (answer) =>
        bestOf(answer, (output, gold) =>
          isRight(lastNumber(output, decimal), lastNumber(gold, decimal)) ? 1 : 0,
        ),
      {
        check: (golds, place) =>
          refuseGolds(golds, place, {
            name: 'numeric',
            isFit: (gold) => lastNumber(gold, decimal) !== undefined,
            wants: 'a number in every gold answer',
            mend: 'correct it or take another metric, for example normalised',
          }),
      },
    );
  },
});
