/**
 * A tokenizer put together from its parts: added tokens are found, the rest is normalised, split
 * into words and spelled by the model, and words that came by before are remembered.
 */
import { WeightsError } from '../../errors.ts';
import type { SpecialTokens, Tokenizer } from '../tokenizer.ts';
import { type AddedToken, tokenFinder } from './added-tokens.ts';
import type { Decoder } from './decoders.ts';
import type { TokenModel } from './model.ts';
import type { Normalizer } from './normalizers.ts';
import type { Frame } from './post-processors.ts';
import type { PreTokenizer } from './pre-tokenizers.ts';

export interface TokenizerParts {
  readonly model: TokenModel;
  readonly added: readonly AddedToken[];
  readonly normalizer: Normalizer;
  readonly preTokenizer: PreTokenizer;
  readonly frame: Frame;
  readonly decoder: Decoder;
  readonly special: SpecialTokens;
  readonly chatTemplate?: string | undefined;
}

const MEMORY_WORDS = 50_000;
const MEMORY_WORD_LENGTH = 64;

/** @throws WeightsError when two tokens claim one id */
export function createTokenizer(parts: TokenizerParts): Tokenizer {
  const { model, added, special, frame } = parts;
  const table = tokenTable(parts);
  const encodeText = textEncoder(parts);
  const specialIds = new Set([
    ...added.filter((token) => token.special).map((token) => token.id),
    ...Object.values(special),
  ]);
  return {
    size: table.texts.length,
    special,
    encode(text, options = {}) {
      const ids = encodeText(text.replace(/\p{Surrogate}/gu, '\ufffd'));
      return options.addSpecialTokens ? [...frame.before, ...ids, ...frame.after] : ids;
    },
    decode(ids, options = {}) {
      const tokens: string[] = [];
      for (const id of ids) {
        const token = table.texts[id];
        if (token === undefined || (!options.keepSpecialTokens && specialIds.has(id))) continue;
        tokens.push(token);
      }
      return parts.decoder.list(tokens).join('');
    },
    tokenText(id) {
      const token = table.texts[id];
      if (token === undefined) return '';
      return table.added.has(id) ? token : parts.decoder.one(token);
    },
    isSpecial: (id) => specialIds.has(id),
    idOf: (token) => table.addedIds.get(token) ?? model.vocabulary.ids.get(token),
    ...(parts.chatTemplate === undefined ? {} : { chatTemplate: parts.chatTemplate }),
  };
}

function tokenTable({ model, added, special, frame }: TokenizerParts) {
  const texts = model.vocabulary.texts.slice();
  const addedIds = new Map<string, number>();
  for (const { id, content } of added) {
    texts[id] ??= content;
    if (texts[id] !== content) {
      throw new WeightsError(
        `tokenizer: id ${id} is claimed by ${JSON.stringify(texts[id])} and ${JSON.stringify(content)}`,
      );
    }
    addedIds.set(content, id);
  }
  for (const id of [...Object.values(special), ...frame.before, ...frame.after]) {
    if (texts[id] === undefined) {
      throw new WeightsError(`tokenizer: the special token ${id} is not in the vocabulary`);
    }
  }
  return { texts, addedIds, added: new Set(addedIds.values()) };
}

/** Ids of a well-formed text. */
function textEncoder(parts: TokenizerParts): (text: string) => number[] {
  const { added, normalizer, preTokenizer, model } = parts;
  const findRaw = tokenFinder(added.filter((token) => !token.normalized));
  const findNormalized = tokenFinder(
    added.filter((token) => token.normalized),
    normalizer,
  );
  const spell = rememberingSpeller(model);
  return (text) => {
    const ids: number[] = [];
    for (const raw of findRaw(text)) {
      if ('id' in raw) {
        ids.push(raw.id);
        continue;
      }
      for (const piece of findNormalized(normalizer(raw.text))) {
        if ('id' in piece) ids.push(piece.id);
        else {
          const isStart = raw.start === 0 && piece.start === 0;
          for (const word of preTokenizer(piece.text, isStart)) spell(word, ids);
        }
      }
    }
    return ids;
  };
}

function rememberingSpeller({ encodeWord, cut }: TokenModel) {
  const memory = new Map<string, readonly number[]>();
  const spellWord = (word: string, out: number[]) => {
    let ids = memory.get(word);
    if (!ids) {
      ids = encodeWord(word);
      if (word.length <= MEMORY_WORD_LENGTH) {
        if (memory.size >= MEMORY_WORDS) memory.clear();
        memory.set(word, ids);
      }
    }
    for (const id of ids) out.push(id);
  };
  return (word: string, out: number[]) => {
    if (!cut) return spellWord(word, out);
    for (const piece of cut(word)) spellWord(piece, out);
  };
}
