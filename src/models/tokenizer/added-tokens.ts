/**
 * Tokens that are found in a text before anything else happens to it: `<|im_end|>`, `<mask>` …
 * At each position the longest one wins; a token may ask for word boundaries around it or swallow
 * the white space beside it.
 */
import { codePointBefore, isWhitespace, isWordChar, width } from './char-class.ts';
import { fail, flagField, integerField, type Json, MAX_ID, objectOf, textField } from './fields.ts';

export interface AddedToken {
  readonly id: number;
  readonly content: string;
  readonly special: boolean;
  /** Found in the normalised text instead of the text as it was given. */
  readonly normalized: boolean;
  readonly singleWord: boolean;
  /** Swallows the white space before it (`lstrip`) or behind it (`rstrip`). */
  readonly lstrip: boolean;
  readonly rstrip: boolean;
}

/** Longer ones would let a text be searched too slowly. */
export const MAX_ADDED_LENGTH = 256;

/** @throws WeightsError when the entry is malformed; `id` is for files that keep it elsewhere */
export function readAddedToken(value: unknown, where: string, id?: number): AddedToken {
  const spec = objectOf(value, where);
  const special = flagField(spec, 'special', where, false);
  return {
    id: id ?? integerField(spec, 'id', where, { max: MAX_ID - 1 }),
    content: contentOf(spec, where),
    special,
    normalized: flagField(spec, 'normalized', where, !special),
    singleWord: flagField(spec, 'single_word', where, false),
    lstrip: flagField(spec, 'lstrip', where, false),
    rstrip: flagField(spec, 'rstrip', where, false),
  };
}

function contentOf(spec: Json, where: string): string {
  const content = textField(spec, 'content', where, { max: MAX_ADDED_LENGTH });
  return content === '' ? fail(`${where}.content`, 'a token', content) : content;
}

/** A stretch of ordinary text, or an added token. */
export type Stretch = { readonly text: string; readonly start: number } | { readonly id: number };

export type Finder = (text: string) => Stretch[];

interface TrieNode {
  token?: AddedToken;
  readonly next: Map<number, TrieNode>;
}

/** Finds the given tokens; `form` is what a token's content looks like in the text. */
export function tokenFinder(
  tokens: readonly AddedToken[],
  form: (content: string) => string = (content) => content,
): Finder {
  const root: TrieNode = { next: new Map() };
  for (const token of tokens) insert(root, form(token.content), token);
  if (root.next.size === 0) return (text) => (text === '' ? [] : [{ text, start: 0 }]);
  return (text) => find(text, root);
}

function insert(root: TrieNode, content: string, token: AddedToken): void {
  let node = root;
  for (let i = 0; i < content.length; i++) {
    const unit = content.charCodeAt(i);
    let child = node.next.get(unit);
    if (!child) {
      child = { next: new Map() };
      node.next.set(unit, child);
    }
    node = child;
  }
  if (content !== '') node.token ??= token;
}

function find(text: string, root: TrieNode): Stretch[] {
  const out: Stretch[] = [];
  let done = 0;
  for (let at = 0; at < text.length; ) {
    const token = longestAt(text, at, root);
    if (!token) {
      at++;
      continue;
    }
    let end = at + token.length;
    const { added } = token;
    if (added.singleWord && !standsAlone(text, at, end)) {
      at = end;
      continue;
    }
    const start = added.lstrip ? Math.max(done, skipBack(text, at)) : at;
    at = end;
    if (added.rstrip) end = skipForward(text, end);
    if (start > done) out.push({ text: text.slice(done, start), start: done });
    out.push({ id: added.id });
    done = Math.max(done, end);
  }
  if (done < text.length) out.push({ text: text.slice(done), start: done });
  return out;
}

function longestAt(text: string, start: number, root: TrieNode) {
  let found: { added: AddedToken; length: number } | undefined;
  let node = root.next.get(text.charCodeAt(start));
  for (let at = start + 1; node; at++) {
    if (node.token) found = { added: node.token, length: at - start };
    if (at >= text.length) break;
    node = node.next.get(text.charCodeAt(at));
  }
  return found;
}

function standsAlone(text: string, start: number, end: number): boolean {
  const before = start > 0 && isWordChar(codePointBefore(text, start));
  return !before && !(end < text.length && isWordChar(text.codePointAt(end)!));
}

function skipBack(text: string, start: number): number {
  let at = start;
  while (at > 0 && isWhitespace(text.charCodeAt(at - 1))) at--;
  return at;
}

function skipForward(text: string, end: number): number {
  let at = end;
  while (at < text.length && isWhitespace(text.codePointAt(at)!))
    at += width(text.codePointAt(at)!);
  return at;
}
