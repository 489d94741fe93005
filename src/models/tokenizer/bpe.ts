/**
 * Byte-pair encoding: a word starts as its characters (or bytes) and the best-ranked neighbouring
 * pair is merged until none is left. A heap over a linked list keeps a word of n symbols at
 * n log n steps, so a megabyte of one letter is no attack. Merges come from a list (GPT-2,
 * Llama 3 …) or from the tokens' scores (SentencePiece models in GGUF files).
 * Leaves out dropout, which is for training.
 * Source: R. Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units".
 */
import { WeightsError } from '../../errors.ts';
import { byteOfToken, tokenOfByte } from './byte-level.ts';
import { createHeap } from './heap.ts';
import type { TokenModel, Vocabulary } from './model.ts';

/** Answers which merge a pair of neighbours allows. */
export interface MergeTable {
  /** A merge's number, or -1. */
  find(left: number, right: number): number;
  /** Lower ranks come first. */
  rankOf(merge: number): number;
  /** Id of the token that a merge makes. */
  resultOf(merge: number): number;
}

export interface BpeOptions {
  readonly unknown: number | undefined;
  readonly fuseUnknown: boolean;
  /** Spell characters that are no token as `<0xNN>` bytes. */
  readonly byteFallback: boolean;
  /** A word that is itself a token is not spelled. */
  readonly ignoreMerges: boolean;
  readonly prefix: string;
  readonly suffix: string;
}

/** Two ids in one exact number. */
const ID_SPAN = 2 ** 22;
const POSITIONS = 2 ** 30;

/** A merge table from a list of token pairs, best first. */
export function mergesFromList(
  vocabulary: Vocabulary,
  pairs: Iterable<readonly [string, string]>,
  prefix = '',
): MergeTable {
  const byPair = new Map<number, number>();
  const results: number[] = [];
  for (const [left, right] of pairs) {
    const leftId = vocabulary.ids.get(left);
    const rightId = vocabulary.ids.get(right);
    const result = vocabulary.ids.get(left + right.slice(prefix.length));
    if (leftId === undefined || rightId === undefined || result === undefined) {
      throw new WeightsError(
        `tokenizer: merge ${results.length} (${JSON.stringify(`${left} ${right}`.slice(0, 60))}) uses a token that is not in the vocabulary`,
      );
    }
    byPair.set(leftId * ID_SPAN + rightId, results.length);
    results.push(result);
  }
  return {
    find: (left, right) => byPair.get(left * ID_SPAN + right) ?? -1,
    rankOf: (merge) => merge,
    resultOf: (merge) => results[merge]!,
  };
}

const MEMO_SIZE = 500_000;

/** A merge table in which any two tokens merge whose text is a token, best score first. */
export function mergesFromScores(
  vocabulary: Vocabulary,
  scores: readonly number[],
  isMergeable: (id: number) => boolean,
): MergeTable {
  const descending = [...new Set(scores)].sort((a, b) => b - a);
  const rankOfScore = new Map(descending.map((score, rank) => [score, rank]));
  const ranks = Int32Array.from(scores, (score) => rankOfScore.get(score)!);
  const memo = new Map<number, number>();
  const lookUp = (left: number, right: number) => {
    const text = `${vocabulary.texts[left] ?? ''}${vocabulary.texts[right] ?? ''}`;
    const id = isMergeable(left) && isMergeable(right) ? vocabulary.ids.get(text) : undefined;
    return id !== undefined && isMergeable(id) ? id : -1;
  };
  return {
    find(left, right) {
      const key = left * ID_SPAN + right;
      let id = memo.get(key);
      if (id === undefined) {
        if (memo.size >= MEMO_SIZE) memo.clear();
        id = lookUp(left, right);
        memo.set(key, id);
      }
      return id;
    },
    rankOf: (merge) => ranks[merge]!,
    resultOf: (merge) => merge,
  };
}

export function bpeModel(
  vocabulary: Vocabulary,
  merges: MergeTable,
  options: BpeOptions,
): TokenModel {
  const toSymbols = speller(vocabulary, options);
  return {
    vocabulary,
    encodeWord(word) {
      const whole = options.ignoreMerges ? vocabulary.ids.get(word) : undefined;
      return whole !== undefined ? [whole] : merged(toSymbols(word), merges);
    },
    cut: metaspaceCut(vocabulary, options),
  };
}

/** The symbols that a word starts as. */
function speller(vocabulary: Vocabulary, options: BpeOptions): (word: string) => number[] {
  const { ids } = vocabulary;
  const { unknown, fuseUnknown, byteFallback, prefix, suffix } = options;
  const bytes = byteFallback ? byteIds(vocabulary) : undefined;
  return (word) => {
    const out: number[] = [];
    let hasUnknown = false;
    for (let at = 0; at < word.length; ) {
      const char = String.fromCodePoint(word.codePointAt(at)!);
      const isFirst = at === 0;
      at += char.length;
      const symbol = `${isFirst ? '' : prefix}${char}${at === word.length ? suffix : ''}`;
      const id = ids.get(symbol);
      if (id !== undefined) {
        if (hasUnknown) out.push(unknown!);
        hasUnknown = false;
        out.push(id);
        continue;
      }
      const spelled = bytes && spellBytes(symbol, bytes);
      if (spelled) {
        for (const byte of spelled) out.push(byte);
      } else if (unknown !== undefined) {
        if (hasUnknown && !fuseUnknown) out.push(unknown);
        hasUnknown = true;
      }
    }
    if (hasUnknown) out.push(unknown!);
    return out;
  };
}

function byteIds({ ids }: Vocabulary): (number | undefined)[] {
  return Array.from({ length: 256 }, (_, byte) => ids.get(tokenOfByte(byte)));
}

function spellBytes(symbol: string, bytes: readonly (number | undefined)[]): number[] | undefined {
  const out: number[] = [];
  for (const byte of Buffer.from(symbol, 'utf8')) {
    const id = bytes[byte];
    if (id === undefined) return undefined;
    out.push(id);
  }
  return out;
}

function merged(symbols: number[], merges: MergeTable): number[] {
  const count = symbols.length;
  if (count < 2) return symbols;
  const next = Int32Array.from(symbols, (_, i) => i + 1);
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const heap = createHeap();
  const offer = (at: number) => {
    if (at < 0 || next[at]! >= count) return;
    const merge = merges.find(symbols[at]!, symbols[next[at]!]!);
    if (merge >= 0) heap.push(merges.rankOf(merge) * POSITIONS + at, merges.resultOf(merge));
  };
  for (let at = 0; at < count; at++) offer(at);
  while (heap.size > 0) {
    const at = heap.topKey() % POSITIONS;
    const result = heap.pop();
    const right = next[at]!;
    if (symbols[at] === GONE || right >= count) continue;
    const merge = merges.find(symbols[at]!, symbols[right]!);
    if (merge < 0 || merges.resultOf(merge) !== result) continue;
    symbols[at] = result;
    symbols[right] = GONE;
    next[at] = next[right]!;
    if (next[at]! < count) previous[next[at]!] = at;
    offer(previous[at]!);
    offer(at);
  }
  return symbols.filter((id) => id !== GONE);
}

const GONE = -1;

/**
 * Where a long text may be cut so that its pieces come out as in the whole: before a space mark
 * that follows another character, if no token has one in its middle. Models without a splitting
 * rule (SentencePiece) get words out of it, and words can be remembered.
 */
function metaspaceCut(vocabulary: Vocabulary, options: BpeOptions): TokenModel['cut'] {
  if (options.prefix !== '' || options.suffix !== '' || !vocabulary.ids.has('▁')) return undefined;
  if (options.ignoreMerges) return undefined;
  for (const text of vocabulary.ids.keys()) {
    if (/[^▁]▁/.test(text) && byteOfToken(text) === undefined) return undefined;
  }
  return (text) => text.split(/(?<=[^▁])(?=▁)/);
}
