/**
 * Which tokens a trigger may be made of, and which triggers a step proposes: tokens ranked by the
 * first-order change of the loss, kept where the whole prompt is read back as the same tokens and
 * was not proposed before.
 *
 * Source: AutoPrompt, arXiv 2010.15980, section 2.2 (one slot, its best tokens); GCG, arXiv
 * 2307.15043, algorithm 1 (any slot, drawn among the best tokens of each).
 */
import type {
  Environment,
  PromptGradient,
  PromptSlope,
  SlopeOptions,
} from '../environment/index.ts';
import { actionSpaceOf } from '../policy/index.ts';
import type { Task } from '../tasks/index.ts';
import type { Rng } from '../util/rng.ts';

/** A prompt with the ids that it has in its place. */
export interface Trigger {
  readonly text: string;
  readonly ids: readonly number[];
}

export interface TriggerTokens {
  /** Ids for a slot; the first one's are without a space where the template has none before it. */
  at(slot: number): readonly number[];
  /** The trigger that ids are; undefined where its text is read as other ids. */
  read(ids: readonly number[]): Trigger | undefined;
}

/** Whole words that survive re-tokenisation; with `banLabelWords` none that begin as a label word does. */
export function triggerTokens(
  { taskLm: { tokenizer }, layout, task }: Environment,
  { banLabelWords }: { banLabelWords: boolean },
): TriggerTokens {
  const isBanned = banLabelWords ? labelWordTest(task) : () => false;
  const rest = actionSpaceOf(tokenizer).ids.filter((id) => !isBanned(tokenizer.tokenText(id)));
  const bare = rest.map((id) => layout.prompt(tokenizer.tokenText(id).trim()));
  const first = layout.surface('x').startsWith(' ')
    ? rest
    : [...new Set(bare.flatMap((ids) => (ids.length === 1 ? ids : [])))];
  return {
    at: (slot) => (slot === 0 ? first : rest),
    read(ids) {
      const text = tokenizer.decode(ids).trimStart();
      return layout.prompt(text).join() === ids.join() ? { text, ids } : undefined;
    },
  };
}

/**
 * Whether a text has a label word in it, in whatever case: the answer is no cue. Longer words that
 * begin as a label word of four letters or more does count too ("positive", "positively").
 */
export function labelWordTest({ classes }: Task): (text: string) => boolean {
  const wordsOf = (text: string) => text.toLowerCase().match(/[\p{L}\p{N}]+/gu) ?? [];
  const banned = classes.flatMap(({ word }) => wordsOf(word));
  const isBanned = (part: string) =>
    banned.some((word) => part === word || (word.length >= 4 && part.startsWith(word)));
  return (text) => wordsOf(text).some(isBanned);
}

/**
 * Where else than at its own word the gradient in a slot is taken: at the mean of the slot's words, then
 * at random ones. A tangent at one word says little of words as far away as any other is; the mean of
 * several tangents is nearer to the loss as a function of words.
 */
export async function turnsIn(
  slot: number,
  gradient: PromptGradient,
  { tokens, points, rng }: { tokens: TriggerTokens; points: number; rng: Rng },
): Promise<NonNullable<SlopeOptions['turns']>> {
  if (points < 2) return { slot, words: [] };
  const ids = tokens.at(slot);
  const drawn = Array.from({ length: points - 2 }, () => ids[rng.integer(ids.length)]!);
  return { slot, words: [await gradient.meanOf(ids), ...(await gradient.wordsOf(drawn))] };
}

/** First-order change of the loss: per slot, one value a token of that slot. */
export async function predictedChanges(
  gradient: PromptGradient,
  slope: PromptSlope,
  tokens: TriggerTokens,
): Promise<Float32Array[]> {
  const rest = await gradient.changes(slope, tokens.at(1));
  if (tokens.at(0) === tokens.at(1)) return rest;
  const [first] = await gradient.changes(slope, tokens.at(0));
  return [first!, ...rest.slice(1)];
}

/** A trigger to try, and the change of the loss that the gradient promises. */
export interface Proposal {
  readonly trigger: Trigger;
  readonly predicted: number;
}

export interface ProposalInput {
  readonly ids: readonly number[];
  readonly changes: readonly Float32Array[];
  /** Texts that need no second try. */
  readonly known: ReadonlySet<string>;
  /** The slot to change; undefined: any. */
  readonly slot: number | undefined;
}

export interface ProposalOptions {
  readonly searchWidth: number;
  readonly topK: number;
  readonly replacements: number;
  readonly rng: Rng;
}

export function propose(
  tokens: TriggerTokens,
  input: ProposalInput,
  options: ProposalOptions,
): Proposal[] {
  return input.slot === undefined
    ? atAnySlots(tokens, input, options)
    : atOneSlot(tokens, { ...input, slot: input.slot }, options);
}

/** AutoPrompt: one slot, its most promising tokens. */
function atOneSlot(
  tokens: TriggerTokens,
  { ids, changes, known, slot }: ProposalInput & { slot: number },
  { searchWidth }: ProposalOptions,
): Proposal[] {
  const change = changes[slot]!;
  const out: Proposal[] = [];
  // In the middle of a word few tokens are read back: the rest of the list is left unread.
  for (const at of ascending(change).subarray(0, 32 * searchWidth)) {
    if (out.length === searchWidth) break;
    const trigger = tokens.read(ids.with(slot, tokens.at(slot)[at]!));
    if (trigger && !known.has(trigger.text)) out.push({ trigger, predicted: change[at]! });
  }
  return out;
}

/** GCG: random slots, each with a token drawn from its most promising. */
function atAnySlots(
  tokens: TriggerTokens,
  { ids, changes, known }: ProposalInput,
  { searchWidth, topK, replacements, rng }: ProposalOptions,
): Proposal[] {
  const best = changes.map((change) => ascending(change).subarray(0, topK));
  const out = new Map<string, Proposal>();
  for (let draw = 0; out.size < searchWidth && draw < 10 * searchWidth; draw++) {
    const next = [...ids];
    let predicted = 0;
    for (const slot of rng.shuffle([...ids.keys()]).slice(0, replacements)) {
      const at = best[slot]![rng.integer(best[slot]!.length)]!;
      next[slot] = tokens.at(slot)[at]!;
      predicted += changes[slot]![at]!;
    }
    const trigger = tokens.read(next);
    if (trigger && !known.has(trigger.text)) out.set(trigger.text, { trigger, predicted });
  }
  return [...out.values()];
}

/** Indices of values, smallest first. */
function ascending(values: Float32Array): Uint32Array {
  return Uint32Array.from(values.keys()).sort((a, b) => values[a]! - values[b]!);
}
