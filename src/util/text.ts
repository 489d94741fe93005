/**
 * Text on its way to a terminal: control characters made visible, width in columns, cutting.
 *
 * Width is a rough wcwidth: East Asian wide characters and emoji take two columns, combining marks
 * none. Grapheme clusters are counted by their widest part, which is what most terminals draw.
 */

const SEGMENTER = new Intl.Segmenter('en', { granularity: 'grapheme' });

/** C0, DEL, C1, line/paragraph separators, bidirectional controls, byte-order mark. */
const CONTROL = /[\p{Cc}\u2028\u2029\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/gu;

const SHORT: Readonly<Record<string, string>> = { '\n': '⏎', '\t': '⇥', '\r': '␍' };

/** The text with every control character shown as a symbol: safe to print, always one line. */
export function visible(text: string): string {
  return text.replace(CONTROL, (character) => {
    const short = SHORT[character];
    if (short !== undefined) return short;
    const code = character.codePointAt(0)!;
    if (code < 0x20) return String.fromCodePoint(0x2400 + code);
    if (code === 0x7f) return '␡';
    return `\\u${code.toString(16).padStart(4, '0')}`;
  });
}

/** Columns that a text takes on a terminal. */
export function displayWidth(text: string): number {
  if (/^[\x20-\x7e]*$/.test(text)) return text.length;
  let width = 0;
  for (const { segment } of SEGMENTER.segment(text)) width += clusterWidth(segment);
  return width;
}

/** The text cut to at most `columns`, ending in "…" where something was left out. */
export function truncate(text: string, columns: number): string {
  if (displayWidth(text) <= columns) return text;
  if (columns <= 0) return '';
  let out = '';
  let width = 0;
  for (const { segment } of SEGMENTER.segment(text)) {
    const next = clusterWidth(segment);
    if (width + next > columns - 1) break;
    out += segment;
    width += next;
  }
  return `${out}…`;
}

/** The text filled with spaces to `columns`; a longer text is left as it is. */
export function pad(text: string, columns: number, side: 'left' | 'right' = 'right'): string {
  const fill = ' '.repeat(Math.max(0, columns - displayWidth(text)));
  return side === 'right' ? text + fill : fill + text;
}

function clusterWidth(cluster: string): number {
  if (cluster.includes('\ufe0f')) return 2;
  let width = 0;
  for (const character of cluster) width = Math.max(width, pointWidth(character));
  return width;
}

function pointWidth(character: string): number {
  if (/^[\p{Mark}\p{Cf}\p{Cc}]$/u.test(character)) return 0;
  if (/^\p{Emoji_Presentation}$/u.test(character)) return 2;
  const c = character.codePointAt(0)!;
  const isWide =
    (c >= 0x1100 && c <= 0x115f) || // Hangul initial consonants
    (c >= 0x2e80 && c <= 0x303e) || // radicals, CJK punctuation
    (c >= 0x3041 && c <= 0xa4cf) || // kana, CJK, Yi
    (c >= 0xac00 && c <= 0xd7a3) || // Hangul syllables
    (c >= 0xf900 && c <= 0xfaff) ||
    (c >= 0xfe30 && c <= 0xfe6f) ||
    (c >= 0xff00 && c <= 0xff60) || // full-width forms
    (c >= 0xffe0 && c <= 0xffe6) ||
    (c >= 0x20000 && c <= 0x3fffd);
  return isWide ? 2 : 1;
}

/** A word of a POSIX shell's command: quoted where the shell would read it otherwise. */
export function shellWord(text: string): string {
  if (/^[\w@%+=:,./-]+$/.test(text)) return text;
  return `'${text.replaceAll("'", `'\\''`)}'`;
}
