/** What changed between two prompts, word by word. */
import { diffWordsWithSpace } from 'diff';

export interface Change {
  readonly text: string;
  readonly kind: 'same' | 'added' | 'removed';
}

/** Words that both have, as a share of those of the longer one. */
export function kinship(before: string, after: string): number {
  const [a, b] = [before, after].map((text) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? []);
  const known = new Set(a);
  const longest = Math.max(a!.length, b!.length);
  return longest === 0 ? 0 : b!.filter((word) => known.has(word)).length / longest;
}

export function wordDiff(before: string, after: string): Change[] {
  return diffWordsWithSpace(before, after).map(({ value, added, removed }) => ({
    text: value,
    kind: added ? 'added' : removed ? 'removed' : 'same',
  }));
}
