/**
 * What evolution works on: a prompt as a list of units (tokens, or words), and the operations on it.
 * A gene that is still to be drawn is `null`; who draws it (`gene-source.ts`) is another matter.
 *
 * A unit is a piece of text with the space before it. The text is the truth: a genome's ids are those
 * that its text has in the template, so that what is scored is what a user would paste.
 */
import type { Layout, Prompt } from '../environment/index.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import { wholeWords } from '../policy/action-space.ts';
import type { AnyExample, AnyTask } from '../tasks/task.ts';
import type { Rng } from '../util/rng.ts';
import { humanCandidates } from './human-prompts.ts';

export type Unit = 'tokens' | 'words';
export type Genome = readonly string[];
/** A genome with genes that are still to be drawn. */
export type Sketch = readonly (string | null)[];

export interface Alphabet {
  /** What a new gene is drawn from. */
  readonly units: readonly string[];
  /** Units of a given text. */
  split(text: string): string[];
}

/** Tokens: the whole words of the vocabulary. Words: those of the task itself. */
export function alphabetOf(unit: Unit, task: AnyTask, tokenizer?: Tokenizer): Alphabet {
  if (unit === 'words' || !tokenizer)
    return { units: wordsOf(task).map((word) => ` ${word}`), split: splitWords };
  // Vocabularies of words (WordPiece) keep no spaces in their tokens.
  const spaced = (text: string) => (text.startsWith(' ') ? text : ` ${text}`);
  return {
    units: wholeWords(tokenizer).map((id) => spaced(tokenizer.tokenText(id))),
    split(text) {
      const pieces = tokenizer.encode(` ${text}`).map((id) => tokenizer.tokenText(id));
      // Pieces of one character, and words that the tokenizer does not know, are no units.
      return pieces.join('') === ` ${text}` ? pieces : splitWords(text);
    },
  };
}

/** A genome as a prompt, or nothing where it is empty or longer than `limit` tokens; without a layout, words. */
export function asPrompt(
  genome: Genome,
  layout: Layout | undefined,
  limit: number,
): Prompt | undefined {
  const text = genome.join('').trim();
  if (!layout) return text === '' || splitWords(text).length > limit ? undefined : { text };
  const ids = layout.prompt(text);
  return text === '' || ids.length > limit ? undefined : { text, ids };
}

/** One point in each parent, so that lengths vary; the child has at most `limit` units. */
export function crossover(a: Genome, b: Genome, { limit, rng }: { limit: number; rng: Rng }) {
  const head = a.slice(0, rng.integer(a.length + 1));
  const tail = b.slice(rng.integer(b.length + 1));
  return [...head, ...tail].slice(0, limit);
}

/** One of replace, insert, delete and swap, as far as the length allows. */
export function mutate(genome: Sketch, { limit, rng }: { limit: number; rng: Rng }): Sketch {
  const out = [...genome];
  const at = rng.integer(out.length);
  const kinds = [
    ...(out.length > 0 ? ['replace'] : []),
    ...(out.length < limit ? ['insert'] : []),
    ...(out.length > 1 ? ['delete', 'swap'] : []),
  ];
  const kind = kinds[rng.integer(kinds.length)];
  if (kind === 'replace') out[at] = null;
  else if (kind === 'insert') out.splice(rng.integer(out.length + 1), 0, null);
  else if (kind === 'delete') out.splice(at, 1);
  else if (kind === 'swap') {
    const other = (at + 1 + rng.integer(out.length - 1)) % out.length;
    [out[at], out[other]] = [out[other]!, out[at]!];
  }
  return out;
}

/** Mean over pairs of 1 − |A ∩ B| / |A ∪ B|, A and B the units of two genomes. */
export function diversity(genomes: readonly Genome[]): number {
  const sets = genomes.map((genome) => new Set(genome));
  let [sum, pairs] = [0, 0];
  for (const [i, a] of sets.entries()) {
    for (const b of sets.slice(i + 1)) {
      const common = [...a].filter((unit) => b.has(unit)).length;
      sum += 1 - common / (a.size + b.size - common);
      pairs++;
    }
  }
  return pairs === 0 ? 0 : sum / pairs;
}

/** Words of the train inputs, of the description and of human candidates. */
export function wordsOf(task: AnyTask): string[] {
  const texts = [
    ...humanCandidates(task),
    task.description,
    ...task.train.map(({ input }: AnyExample) => input),
  ];
  const words = texts.flatMap((text) => text.split(/\s+/));
  return [
    ...new Set(words.filter((word) => /^[\p{L}\p{N}][\p{L}\p{N}'’-]*[.,:;!?]?$/u.test(word))),
  ];
}

function splitWords(text: string): string[] {
  return text
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => ` ${word}`);
}
