/**
 * Sets of characters: a test on one code point, answered from a table that fills itself. Unicode's
 * properties come from the JavaScript engine, through a regular expression on a single character,
 * so nothing here can backtrack.
 */

export type CharTest = (codePoint: number) => boolean;

const UNKNOWN = 0;
const NO = 1;
const YES = 2;

/** A test from the body of a class as JavaScript writes it: `\p{L}\p{N}_`. */
export function charTest(
  body: string,
  options: { negated?: boolean; ignoreCase?: boolean } = {},
): CharTest {
  const regex = new RegExp(
    `^[${options.negated ? '^' : ''}${body}]$`,
    options.ignoreCase ? 'iu' : 'u',
  );
  const ascii = new Uint8Array(128);
  for (let i = 0; i < 128; i++) ascii[i] = regex.test(String.fromCharCode(i)) ? 1 : 0;
  let table: Uint8Array | undefined;
  return (codePoint) => {
    if (codePoint < 128) return ascii[codePoint] === 1;
    if (codePoint > 0xffff) return regex.test(String.fromCodePoint(codePoint));
    table ??= new Uint8Array(0x10000);
    if (table[codePoint] === UNKNOWN) {
      table[codePoint] = regex.test(String.fromCharCode(codePoint)) ? YES : NO;
    }
    return table[codePoint] === YES;
  };
}

/** What `\w` means to the regular expressions of the original tokenizers. */
export const WORD_CLASS = '\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}';

export const isWhitespace = charTest('\\p{White_Space}');
export const isNumeric = charTest('\\p{N}');
export const isWordChar = charTest(`${WORD_CLASS}\\p{Join_Control}`);

/** Number of UTF-16 code units of a code point. */
export function width(codePoint: number): number {
  return codePoint > 0xffff ? 2 : 1;
}

/** The code point that ends just before `end`. */
export function codePointBefore(text: string, end: number): number {
  const low = text.charCodeAt(end - 1);
  if (low >= 0xdc00 && low <= 0xdfff && end >= 2) {
    const whole = text.codePointAt(end - 2)!;
    if (whole > 0xffff) return whole;
  }
  return low;
}
