/**
 * Groups of prompts and texts in passes of bounded size, and what a completion graph is fed for each.
 * Groups of a pass have one number of texts, the missing ones are padding that no row is taken of.
 * Where all prompts begin alike, their common beginning is one row of its own.
 */
import { float32, int64 } from '../tensor/index.ts';
import type { LanguageModel } from './language-model.ts';
import { checkLengths, padRows } from './programs.ts';

type Ids = readonly number[];

/** A prompt (at least one token) and the texts after it (at least one token each). */
export interface CompletionGroup {
  readonly prompt: Ids;
  readonly texts: readonly Ids[];
}

/** By group and text; the vectors have one number a token. */
export interface CompletionSignals {
  readonly advantages: readonly (readonly number[])[];
  readonly oldLogProbs: readonly (readonly ArrayLike<number>[])[];
  readonly weights: readonly (readonly ArrayLike<number>[])[];
  /** @default the old ones */
  readonly refLogProbs?: readonly (readonly ArrayLike<number>[])[];
}

/** Most logits of one pass: 341 tokens of a vocabulary of 49,152. A pass takes some 4 MB a token. */
const LOGITS = 2 ** 24;

/** Most rows of one pass, its prompts' included, where a group has fewer. */
const ROWS = 512;

/** Some texts of some groups, about as many in each. */
export interface Pass {
  /** Tokens at the beginning of all prompts that are read once; 0: each prompt is read by itself. */
  readonly common: number;
  readonly groups: readonly CompletionGroup[];
  /** Where each group's texts stand in what was given: group, and its texts. */
  readonly places: readonly { readonly group: number; readonly texts: readonly number[] }[];
}

/** Groups of about as many texts together, in parts of bounded size. */
export function passes(model: LanguageModel, groups: readonly CompletionGroup[]): Pass[] {
  checkLengths(
    model,
    groups.flatMap(({ prompt, texts }) => texts.map((t) => t.length && prompt.length + t.length)),
  );
  const most = LOGITS / model.config.vocabulary;
  const common = commonBeginning(groups.map(({ prompt }) => prompt));
  const out: { common: number; groups: CompletionGroup[]; places: Pass['places'][number][] }[] = [];
  const room = { tokens: 0, rows: 0, fewest: 0, most: 0 };
  const places = groups.flatMap(({ texts }, group) =>
    parts(texts, most).map((part) => ({ group, texts: part })),
  );
  for (const place of places.sort((a, b) => b.texts.length - a.texts.length)) {
    const { prompt } = groups[place.group]!;
    const texts = place.texts.map((i) => groups[place.group]!.texts[i]!);
    const tokens = texts.reduce((sum, { length }) => sum + length, 0);
    const rows = prompt.length - common + tokens;
    if (tokens > room.tokens || rows > room.rows || texts.length < room.fewest) {
      out.push({ common, groups: [], places: [] });
      room.tokens = Math.max(most, tokens);
      room.rows = Math.max(ROWS - common, rows);
      room.fewest = texts.length / 2;
    }
    room.tokens -= tokens;
    room.rows -= rows;
    out.at(-1)!.groups.push({ prompt, texts });
    out.at(-1)!.places.push(place);
  }
  return out;
}

/** Tokens that all prompts begin with, two of each left out: one for its own side, the last for the texts. */
function commonBeginning([first, ...others]: readonly Ids[]): number {
  if (first === undefined || others.length === 0) return 0;
  const shortest = others.reduce((n, { length }) => Math.min(n, length), first.length);
  let common = 0;
  while (common < shortest - 2 && others.every((ids) => ids[common] === first[common])) common++;
  return common;
}

/** Indices of texts in order, in parts of about one size that have at most `most` tokens. */
function parts(texts: readonly Ids[], most: number): number[][] {
  const total = texts.reduce((sum, { length }) => sum + length, 0);
  const tokens = Math.ceil(total / Math.ceil(total / most));
  const out: number[][] = [];
  let room = 0;
  texts.forEach(({ length }, i) => {
    if (length > room) {
      out.push([]);
      room = Math.max(tokens, length);
    }
    out.at(-1)!.push(i);
    room -= length;
  });
  return out;
}

export function feedsOf({ groups, common: C }: Pass) {
  const beginnings = groups.map(({ prompt }) => prompt.slice(0, -1));
  const own = beginnings.map((ids) => ids.slice(C));
  const G = groups.length;
  const N = Math.max(...groups.map(({ texts }) => texts.length));
  const prompt = padRows(own);
  const L = prompt.length;
  // A text is read behind its prompt's last token; its own last token is read by nothing.
  const read = groups.flatMap(({ prompt, texts }) =>
    Array.from({ length: N }, (_, n) => [prompt.at(-1)!, ...(texts[n] ?? []).slice(0, -1)]),
  );
  const texts = padRows(read);
  const T = texts.length;
  const positions = [
    ...Array.from({ length: C }, (_, i) => i),
    ...Array.from({ length: G * L }, (_, i) => C + (i % L)),
    ...read.flatMap((_, r) =>
      Array.from({ length: T }, (_, t) => beginnings[Math.floor(r / N)]!.length + t),
    ),
  ];
  const begin = C + G * L;
  const rows = groups.flatMap((group, g) =>
    group.texts.flatMap((text, n) => text.map((_, t) => begin + (g * N + n) * T + t)),
  );
  const targets = groups.flatMap((group) => group.texts.flat());
  return {
    common: int64(beginnings[0]!.slice(0, C)),
    commonLength: int64([C]),
    lengths: int64(beginnings.map(({ length }) => length)),
    prompt: int64(prompt.ids, [G, L]),
    texts: int64(texts.ids, [G, N, T]),
    positions: int64(positions),
    rows: int64(rows),
    targets: int64(targets, [targets.length, 1]),
  };
}

export function signalsOf({ groups, places }: Pass, signals: CompletionSignals) {
  const { advantages, oldLogProbs, weights, refLogProbs = oldLogProbs } = signals;
  const tokens = (of: readonly (readonly ArrayLike<number>[])[]) =>
    float32(
      places.flatMap(({ group, texts }) => texts.flatMap((i) => [...Array.from(of[group]![i]!)])),
    );
  return {
    oldLogProbs: tokens(oldLogProbs),
    refLogProbs: tokens(refLogProbs),
    weights: tokens(weights),
    text: int64(groups.flatMap(({ texts }) => texts).flatMap((text, r) => text.map(() => r))),
    advantages: float32(
      places.flatMap(({ group, texts }) => texts.map((i) => advantages[group]![i]!)),
    ),
  };
}

export function collect(
  groups: readonly CompletionGroup[],
  read: readonly { pass: Pass; values: Float32Array }[],
): Float32Array[][] {
  const out: Float32Array[][] = groups.map(() => []);
  for (const { pass, values } of read) {
    let from = 0;
    pass.places.forEach(({ group, texts }, g) => {
      texts.forEach((i, n) => {
        const { length } = pass.groups[g]!.texts[n]!;
        out[group]![i] = values.slice(from, from + length);
        from += length;
      });
    });
  }
  return out;
}
