/** What changed between two prompts, word by word. */
import { diffWordsWithSpace } from 'diff';

export interface Change {
  readonly text: string;
  readonly kind: 'same' | 'added' | 'removed';
}

export function wordDiff(before: string, after: string): Change[] {
  return diffWordsWithSpace(before, after).map(({ value, added, removed }) => ({
    text: value,
    kind: added ? 'added' : removed ? 'removed' : 'same',
  }));
}
