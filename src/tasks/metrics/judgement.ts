/**
 * The score in a judge's reply. LMs seldom keep to the format that they were asked for: "**Score:**
 * 7.5/10", "I'd give it 8 out of 10", {"score": 3}, or just "9" are read; a reply that names several
 * numbers without saying which is the score is not.
 */

const NUMBER = '(-?\\d+(?:[.,]\\d+)?)';
const OUT_OF = '(?:\\s*(?:/|out\\s+of)\\s*(\\d+(?:\\.\\d+)?))';
/** "score", "rating" or "grade", then at most a few words, none of them a number. */
const NAMED = new RegExp(
  `\\b(?:score|rating|grade)\\b[^\\d\\n-]{0,24}\\n?[^\\d\\n-]{0,8}${NUMBER}${OUT_OF}?`,
  'giu',
);
const SHARE = new RegExp(`${NUMBER}${OUT_OF}`, 'giu');
const ALONE = new RegExp(NUMBER, 'gu');
/** "0-10", "from 0 to 10": the scale, not the score. */
const SCALE = /\b0\s*(?:-|–|—|to)\s*10\b/giu;
const MOST = 10;

/** The score in [0, 1], or null where there is none, or none from 0 to 10. */
export function readJudgement(reply: string): number | null {
  const text = reply.replace(/[*_`"]/g, '').replace(SCALE, '');
  const named = [...text.matchAll(NAMED)].at(-1) ?? [...text.matchAll(SHARE)].at(-1);
  if (named) return scoreOf(named[1]!, named[2]);
  const all = text.match(ALONE) ?? [];
  return all.length === 1 ? scoreOf(all[0], undefined) : null;
}

function scoreOf(number: string, outOf: string | undefined): number | null {
  const score = Number(number.replace(',', '.'));
  const isOnScale = score >= 0 && score <= MOST && Number(outOf ?? MOST) === MOST;
  return isOnScale ? score / MOST : null;
}
