/**
 * WordPiece: the longest token that starts a word, then the longest that goes on (`##ing`), and
 * one unknown token for a word that cannot be spelled. Also WordLevel, where a word is a token.
 * Source: Y. Wu et al., "Google's Neural Machine Translation System", 1609.08144.
 */
import type { TokenModel, Vocabulary } from './model.ts';

export interface WordPieceOptions {
  readonly unknown: number;
  readonly prefix: string;
  /** Longer words are unknown; counted in characters. */
  readonly maxWordLength: number;
}

export function wordPieceModel(vocabulary: Vocabulary, options: WordPieceOptions): TokenModel {
  let longest = 0;
  for (const token of vocabulary.ids.keys()) longest = Math.max(longest, token.length);
  return {
    vocabulary,
    encodeWord: (word) => spell(word, vocabulary.ids, options, longest) ?? [options.unknown],
  };
}

function spell(
  word: string,
  ids: ReadonlyMap<string, number>,
  options: WordPieceOptions,
  longest: number,
): number[] | undefined {
  if (word.length > options.maxWordLength && [...word].length > options.maxWordLength) return;
  const out: number[] = [];
  for (let start = 0; start < word.length; ) {
    let end = Math.min(word.length, start + longest);
    let id: number | undefined;
    for (; end > start; end--) {
      const piece = word.slice(start, end);
      id = ids.get(start > 0 ? options.prefix + piece : piece);
      if (id !== undefined) break;
    }
    if (id === undefined) return undefined;
    out.push(id);
    start = end;
  }
  return out;
}

export function wordLevelModel(vocabulary: Vocabulary, unknown: number | undefined): TokenModel {
  return {
    vocabulary,
    encodeWord(word) {
      const id = vocabulary.ids.get(word) ?? unknown;
      return id === undefined ? [] : [id];
    },
  };
}
