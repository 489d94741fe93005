/** What a comparison's figures mean, in plain words that name no winner inside the noise. */
import type { CompareRow } from './compare-events.ts';
import {
  type AnalysedPair,
  isClear,
  leaderFirst,
  points,
  REPETITIONS_TO_FLIP,
  ROUNDING,
} from './compare-pairs.ts';

export interface MethodOutcome {
  readonly row: CompareRow;
  /** Repetitions that came to an end. */
  readonly finished: readonly number[];
}

interface Figures {
  readonly outcomes: readonly MethodOutcome[];
  readonly pairs: readonly AnalysedPair[];
  /** What each repetition has in common with others. */
  readonly clusterOf: readonly number[];
  readonly leftOut: number;
}

export function verdictOf(figures: Figures): string[] {
  const ranked = figures.outcomes
    .map(({ row }) => row)
    .filter(({ test }) => test)
    .sort((x, y) => y.test!.mean - x.test!.mean);
  const [best, ...others] = ranked;
  if (!best) return ['No run came to an end, so there is nothing to compare.'];
  const said =
    others.length === 0
      ? [`${best.method} reaches ${scoreOf(best)}; nothing to compare it with.`]
      : standing(best, others, figures.pairs);
  return [...said, ...caveats(figures)];
}

/** How the method with the highest mean stands to the others. */
function standing(
  best: CompareRow,
  others: readonly CompareRow[],
  pairs: readonly AnalysedPair[],
): string[] {
  /** The pair of the best and another, its difference above 0 where the best leads. */
  const leadOver = ({ method }: CompareRow) => {
    const pair = pairs.find(({ a, b }) => [a, b].includes(best.method) && [a, b].includes(method));
    if (!pair) return undefined;
    const isLeader = leaderFirst(pair).a === best.method || pair.difference === 0;
    return { ...leaderFirst(pair), isLeader };
  };
  const compared = others.filter((row) => leadOver(row));
  const apart = others.filter((row) => !compared.includes(row));
  const unlike =
    apart.length > 0
      ? [`${best.method} and ${list(apart)} came to an end in no repetition together, so that they cannot be compared.`] // biome-ignore format: one value
      : [];
  if (compared.length === 0) {
    return ['No two methods can be compared: too many runs failed.', ...unlike];
  }
  // Means stand on different repetitions where runs failed; a difference stands on common ones.
  const ahead = compared.filter((row) => !leadOver(row)!.isLeader && isClear(leadOver(row)!));
  const beaten = compared.filter((row) => leadOver(row)!.isLeader && isClear(leadOver(row)!));
  const equals = compared.filter((row) => !beaten.includes(row) && !ahead.includes(row));
  const beats = beaten.length > 0 ? [`It is better than ${list(beaten)} by more than noise.`] : [];
  if (ahead.length > 0) {
    const [first] = ahead as [CompareRow];
    return [
      `No winner: ${best.method} has the highest mean, ${scoreOf(best)}, but where both came to an end ${list(ahead)} ${ahead.length === 1 ? 'is' : 'are'} ahead of it by more than noise.`,
      `The lead of ${first.method}: ${leadOf(leadOver(first)!)}.`,
      ...beats,
      ...unlike,
    ];
  }
  if (equals.length === 0) {
    const among = apart.length > 0 ? ' of those that can be compared' : '';
    return [
      `${best.method} is best${among}: ${scoreOf(best)}, more than noise above ${list(beaten)}.`,
      ...unlike,
    ];
  }
  const level = equals.filter((row) => best.test!.mean - row.test!.mean <= ROUNDING);
  const [next, ...more] = equals.filter((row) => !level.includes(row));
  const behind = next ? `, but the lead over ${next.method} lies inside the noise` : '';
  const lead = next && leadOver(next)!;
  const cheapest = [best, ...equals].reduce((x, y) => (y.evaluations! < x.evaluations! ? y : x));
  return [
    level.length > 0
      ? `No winner: ${list([best, ...level])} share the highest mean, ${scoreOf(best)}${behind}.`
      : `No winner: ${best.method} has the highest mean, ${scoreOf(best)}${behind}.`,
    ...(lead?.isLeader ? [`That lead: ${leadOf(lead)}.`] : []),
    ...(lead && !lead.isLeader
      ? [`Where both came to an end, ${next!.method} is ahead: ${leadOf(lead)}.`]
      : []),
    ...(more.length > 0 ? [`Nor can it be told apart from ${list(more)}.`] : []),
    ...beats,
    `Among those that cannot be told apart, ${cheapest.method} took the fewest evaluations (${Math.round(cheapest.evaluations!).toLocaleString('en-US')} a run).`,
    ...unlike,
  ];
}

/** What the figures stand on, where that is less than was asked for. */
function caveats({ outcomes, pairs, clusterOf, leftOut }: Figures): string[] {
  const out: string[] = [];
  const none = outcomes.filter(({ finished }) => finished.length === 0).map(({ row }) => row);
  const ended = outcomes.filter(({ finished }) => finished.length > 0);
  if (none.length > 0) out.push(`Of ${list(none)} no run came to an end.`);
  if (new Set(ended.map(({ finished }) => finished.join(' '))).size > 1) {
    out.push('Some runs failed: the means stand on different repetitions, the differences do not.');
  }
  const counts = ended.map(({ finished }) => new Set(finished.map((r) => clusterOf[r])).size);
  const fewest = Math.min(...counts, ...pairs.map(({ repetitions }) => repetitions));
  if (fewest < REPETITIONS_TO_FLIP) {
    const areSplits = new Set(clusterOf).size < clusterOf.length;
    const what = areSplits ? 'split' : 'repetition';
    out.push(
      `With ${fewest} ${what}${fewest === 1 ? '' : 's'} this is about the prompts that were found; how much a method owes to its ${areSplits ? 'data' : 'seed'} needs five or more.`,
    );
  }
  if (leftOut > 0) {
    out.push(
      `${leftOut} test ${leftOut === 1 ? 'example has' : 'examples have'} no score with some prompt and ${leftOut === 1 ? 'is' : 'are'} left out for all.`,
    );
  }
  return out;
}

function leadOf({ difference, interval: [low, high], pAdjusted }: AnalysedPair): string {
  return `${points(difference)} points, 95% interval ${points(low)} to ${points(high)}, adjusted p ${pAdjusted.toFixed(3)}`;
}

const scoreOf = ({ test }: CompareRow): string =>
  `${(100 * test!.mean).toFixed(1)}% on the sealed test`;

function list(rows: readonly CompareRow[]): string {
  const names = rows.map(({ method }) => method);
  return names.length === 1 ? names[0]! : `${names.slice(0, -1).join(', ')} and ${names.at(-1)}`;
}
