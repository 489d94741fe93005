/**
 * Texts of models, with characters that do not show (or change how others show) as marked names:
 * controls, zero-width and bidirectional format characters, odd spaces, private use.
 */

const ODD =
  /[\p{C}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u115f\u1160\u3164\uffa0]/gu;

const NAMES: Readonly<Record<string, string>> = { '\n': '⏎', '\t': '⇥', '\r': '␍', '\u001b': '␛' };

export interface Piece {
  readonly text: string;
  /** True where `text` stands for a character that does not show. */
  readonly isOdd: boolean;
}

export function pieces(text: string): Piece[] {
  const out: Piece[] = [];
  let end = 0;
  for (const match of text.matchAll(ODD)) {
    if (match.index > end) out.push({ text: text.slice(end, match.index), isOdd: false });
    out.push({ text: nameOf(match[0]), isOdd: true });
    end = match.index + match[0].length;
  }
  if (end < text.length) out.push({ text: text.slice(end), isOdd: false });
  return out;
}

const nameOf = (character: string): string =>
  NAMES[character] ?? `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;

/** The same as one plain text, for attributes and titles. */
export const plain = (text: string): string =>
  pieces(text)
    .map((piece) => piece.text)
    .join('');
