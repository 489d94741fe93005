/** A short, printable piece of foreign text for a message. */
import { truncate, visible } from '../util/text.ts';

/** At most `columns` columns on one line, white space collapsed, control characters visible. */
export function excerpt(text: string, columns = 40): string {
  const start = text
    .slice(0, 4 * columns)
    .replace(/\s+/g, ' ')
    .trim();
  return truncate(visible(start), columns);
}
