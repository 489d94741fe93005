/**
 * The tokens of a TypeScript module of the kind that we write: names, numbers, strings, punctuation;
 * comments fall away. Leaves out regular expressions and template strings, which it refuses.
 */
import { DataError } from '../../errors.ts';

export type Token =
  /** Text without its quotes, escapes resolved. */
  { readonly kind: 'string'; readonly text: string } | { readonly kind: 'other'; readonly text: string }; // biome-ignore format: one type

const TOKEN =
  /\s+|\/\/[^\n]*|\/\*[\s\S]*?\*\/|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|[A-Za-z_$][\w$]*|\d+(?:\.\d+)?|\.\.\.|=>|[{}()[\].,:;=+|<>?]/y;

/** @throws DataError where the text is no such module */
export function tokensOf(source: string, name: string): Token[] {
  const tokens: Token[] = [];
  const pattern = new RegExp(TOKEN);
  while (pattern.lastIndex < source.length) {
    const from = pattern.lastIndex;
    const match = pattern.exec(source)?.[0];
    if (match === undefined) {
      const line = source.slice(0, from).split('\n').length;
      throw new DataError(`${name}:${line}: cannot be read again at ${JSON.stringify(source.slice(from, from + 10))}`); // biome-ignore format: one sentence
    }
    if (/^(\s|\/\/|\/\*)/.test(match)) continue;
    if (match.startsWith('"')) tokens.push({ kind: 'string', text: JSON.parse(match) as string });
    else if (match.startsWith("'")) tokens.push({ kind: 'string', text: match.slice(1, -1) });
    else tokens.push({ kind: 'other', text: match });
  }
  return tokens;
}
