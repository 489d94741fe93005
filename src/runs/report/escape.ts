/**
 * Texts of a model on their way into a report: escaped, and with characters that do not show (or
 * change how others show) made visible. A prompt can hold anything that a vocabulary holds.
 */

/** Controls, format characters (zero width, bidirectional), surrogates, odd spaces, private use. */
const ODD =
  /[\p{C}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u115f\u1160\u3164\uffa0]/gu;

const NAMES: Readonly<Record<string, string>> = { '\n': '⏎', '\t': '⇥', '\r': '␍' };

const nameOf = (character: string): string =>
  NAMES[character] ?? `U+${character.codePointAt(0)!.toString(16).toUpperCase().padStart(4, '0')}`;

/** Text for HTML, also inside attributes in double quotes. */
export function html(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;')
    .replaceAll("'", '&#39;');
}

/** The text with odd characters as names in brackets: plain, and safe in any file. */
export function shown(text: string): string {
  return text.replace(ODD, (character) => `[${nameOf(character)}]`);
}

/** A model's text for HTML: odd characters stand as marked names. */
export function htmlPrompt(text: string): string {
  let out = '';
  let end = 0;
  for (const match of text.matchAll(ODD)) {
    out += `${html(text.slice(end, match.index))}<i class="odd">${html(nameOf(match[0]))}</i>`;
    end = match.index + match[0].length;
  }
  return out + html(text.slice(end));
}

/** Plain text for Markdown, one line: nothing in it is markup. */
export function markdown(text: string): string {
  return shown(text).replace(/[\\`*_[\]<>#|~&]/g, (character) => `\\${character}`);
}

/** A model's text as a code span that a table cell can hold. */
export function markdownPrompt(text: string): string {
  const inCell = shown(text).replaceAll('|', '\\|');
  const longest = Math.max(0, ...[...inCell.matchAll(/`+/g)].map(([run]) => run.length));
  const fence = '`'.repeat(longest + 1);
  return `${fence} ${inCell} ${fence}`;
}
