/** A row and a pair of a comparison in words: the same in the terminal, in HTML and in Markdown. */
import {
  formatCount,
  formatP,
  formatScore,
  formatSeconds,
  formatShare,
  formatUsd,
} from '../util/format.ts';
import type { CompareRow } from './compare-events.ts';
import { type AnalysedPair, isClear, leaderFirst, points } from './compare-pairs.ts';

/** What a method reached and used; `none` stands for what no cell of it came to. */
export function rowWords(row: CompareRow, none: string) {
  const { test, validation, evaluations, seconds, usd } = row;
  return {
    test: test ? formatScore({ score: test.mean, interval: test.interval }) : 'failed',
    validation: validation === null ? none : formatShare(validation),
    evaluations: evaluations === null ? none : formatCount(evaluations),
    time: seconds === null ? none : formatSeconds(seconds),
    money: test ? formatUsd(usd) : none,
  };
}

/** A difference, the one that is ahead first, and whether it counts. */
export function pairWords(pair: AnalysedPair, none: string) {
  const { a, b, difference, interval, p, pAdjusted, pRepetitions } = leaderFirst(pair);
  return {
    pair: `${a} − ${b}`,
    points: `${points(difference)} [${interval.map(points).join(', ')}]`,
    p: formatP(p),
    pAdjusted: formatP(pAdjusted),
    pRepetitions: pRepetitions?.toFixed(3) ?? none,
    judgement: isClear(pair) ? 'more than noise' : 'inside the noise',
  };
}
