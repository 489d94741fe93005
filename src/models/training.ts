/**
 * Programs with gradients: the frozen LM reads examples, the loss is the cross-entropy of each one's
 * answer among the label words (or the whole vocabulary), and what is learnt gets a gradient. One
 * ONNX graph does forward and backward; frozen weights and cached prefixes get no gradient.
 *
 * - `loadBranchTrainer`: N branches of word embeddings after each of G cached prefixes. The gradient
 *   flows through the branches' own positions alone.
 * - `loadSequenceTrainer`: whole sequences, with virtual tokens anywhere in them and LoRA's factors
 *   beside the weights.
 *
 * Losses are not averaged: gradients are those of the sum over all examples of the call, so that
 * calls can be added up. Answers of several tokens are read by whole sequences alone (`words`). Left
 * out: int8.
 */
import {
  add,
  cast,
  constant,
  equal,
  expand,
  float32,
  floats,
  gather,
  grad,
  input,
  int64,
  integers,
  logSoftmax,
  matmul,
  mul,
  neg,
  type Parameters,
  recompute,
  reduceSum,
  reshape,
  type Tensor,
  takeAlong,
} from '../tensor/index.ts';
import type { ModelConfig, Weights } from './architecture.ts';
import { branches, sequences } from './attention.ts';
import type { LanguageModel } from './language-model.ts';
import { type LoraOptions, withLora } from './lora.ts';
import { cacheInputs, checkLengths, type PrefixCache, padRows } from './programs.ts';

export interface TrainerOptions {
  /** What the answer's probability is taken over. @default 'labels' */
  readonly over?: 'labels' | 'vocabulary';
  /** False: losses and scores alone, without a backward pass. @default true */
  readonly withGradient?: boolean;
  readonly prepack?: boolean;
}

/** What the examples of one call should be answered by. */
export interface Answers {
  /** Vocabulary ids of the label words, one a class [C]. */
  readonly labels: readonly number[];
  /** Gold class of each example. */
  readonly gold: readonly number[];
}

export interface Outcome {
  /** Cross-entropy in nats, one a row. */
  readonly losses: Float32Array<ArrayBuffer>;
  /** The label words' logits [rows, C]. */
  readonly scores: Float32Array<ArrayBuffer>;
}

/** Word embeddings [n, D] of vocabulary ids. */
export async function wordEmbeddings(
  model: LanguageModel,
  ids: readonly number[],
): Promise<Float32Array<ArrayBuffer>> {
  const w = await model.weights();
  const words = model.architecture.words(w, input('ids', ['R'], 'int64'));
  const executable = await model.load({ words }, { prepack: false });
  const out = await executable.run({ ids: int64(ids) });
  await executable.unload();
  return floats(out.words);
}

/** N branches of T word embeddings [N, T, D]; gpt2's positions and the like are added inside. */
export interface EmbeddedBranches {
  readonly words: Float32Array<ArrayBuffer>;
  readonly rows: number;
  readonly length: number;
}

export interface BranchOutcome extends Outcome {
  /** Of the summed losses with respect to the branches' word embeddings [N, T, D]. */
  readonly gradient: Float32Array<ArrayBuffer>;
}

export interface BranchTrainer {
  /**
   * Every branch after every prefix, answered at the branch's last token: rows are [G, N].
   * `answers.gold` has one class a prefix.
   */
  run(cache: PrefixCache, branches: EmbeddedBranches, answers: Answers): Promise<BranchOutcome>;
  unload(): Promise<void>;
}

export async function loadBranchTrainer(
  model: LanguageModel,
  { over = 'labels', withGradient = true, ...options }: TrainerOptions = {},
): Promise<BranchTrainer> {
  const { config, architecture } = model;
  const D = config.width;
  const w = await model.weights();
  const words = input('words', ['N', 'T', D]);
  const lengths = input('lengths', ['G'], 'int64');
  const positions = input('positions', ['G*N*T'], 'int64');
  const rows = input('rows', ['S'], 'int64'); // flat index of each branch's last token
  const everywhere = reshape(expand(words, ['G', 'N', 'T', D]), ['G*N*T', D]);
  const dims = { G: 'G', N: 'N', T: 'T', L: 'L' };
  const attend = branches(config, dims, cacheInputs(config), lengths);
  const x = architecture.place(w, everywhere, positions);
  const hidden = architecture.forward(w, x, positions, attend, {
    select: (t) => gather(t, rows),
  });
  const { losses, scores } = answered(model, w, hidden, over);
  const outputs = { losses, scores };
  const executable = await model.load(
    withGradient ? { ...outputs, gradient: grad(reduceSum(losses), [words])[0]! } : outputs,
    options,
  );
  return {
    async run(cache, { words: values, rows: N, length: T }, { labels, gold }) {
      const G = cache.lengths.length;
      checkLengths(
        model,
        cache.lengths.map((length) => T && length + T),
      );
      const at = Float64Array.from(
        { length: G * N * T },
        (_, i) => cache.lengths[Math.floor(i / (N * T))]! + (i % T),
      );
      const out = await executable.run({
        words: float32(values, [N, T, D]),
        lengths: int64(cache.lengths),
        positions: int64(at),
        rows: int64(Array.from({ length: G * N }, (_, i) => (i + 1) * T - 1)),
        labels: int64(labels),
        gold: int64(gold.flatMap((label) => Array.from({ length: N }, () => label))),
        ...cache.tensors,
      });
      return {
        losses: floats(out.losses),
        scores: floats(out.scores),
        gradient: withGradient ? floats(out.gradient) : new Float32Array(0),
      };
    },
    unload: () => executable.unload(),
  };
}

/** What a whole sequence trains: its learnt tensors by name, with their shapes. */
export interface SequenceOptions extends TrainerOptions {
  /** P: in sequences, the ids −1 … −P stand for them. They are learnt under the name "virtual". */
  readonly virtualTokens?: number;
  readonly lora?: LoraOptions;
  /**
   * Label words of several tokens, one a class: each example is read once a class, with all but the
   * last of the word's tokens behind it, and `labels` are not read. Causal LMs alone.
   */
  readonly words?: readonly (readonly number[])[] | undefined;
  /** Layers are computed again for the gradient: far less memory for a second forward pass. @default false */
  readonly recomputes?: boolean;
}

export interface SequenceOutcome extends Outcome {
  /** Of the summed losses with respect to what is learnt, by name. */
  readonly gradients: Parameters;
}

export interface SequenceTrainer {
  /** Shapes of what is learnt, by name. */
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** `places`: where each sequence is answered, one index a sequence. */
  run(
    sequences: readonly (readonly number[])[],
    answers: Answers & { readonly places: readonly number[] },
    parameters: Parameters,
  ): Promise<SequenceOutcome>;
  unload(): Promise<void>;
}

export async function loadSequenceTrainer(
  model: LanguageModel,
  {
    over = 'labels',
    withGradient = true,
    virtualTokens = 0,
    lora,
    words: labelWords,
    recomputes = false,
    ...options
  }: SequenceOptions,
): Promise<SequenceTrainer> {
  const { config, architecture } = model;
  const base = await model.weights();
  const { weights: w, leaves: factors } = lora
    ? withLora(base, architecture, lora)
    : { weights: base, leaves: {} };
  const virtual = input('virtual', [virtualTokens, config.width]);
  const leaves: Record<string, Tensor> = virtualTokens > 0 ? { virtual, ...factors } : factors;
  const flat = (name: string) => reshape(input(name, ['B', 'T'], 'int64'), ['B*T']);
  const positions = flat('positions');
  const rows = input('rows', ['S'], 'int64'); // flat index of each answer's place
  const causal = config.kind === 'causal';
  const lengths = input('lengths', ['B'], 'int64');
  let words = architecture.words(w, flat('ids'));
  if (virtualTokens > 0) words = withVirtual(words, virtual, flat('slots'));
  const attend = sequences(config, ['B', 'T'], { causal, lengths });
  const x = architecture.place(w, words, positions);
  const hidden = architecture.forward(w, x, positions, attend, {
    select: (t) => gather(t, rows),
    ...(recomputes ? { around: (y, layerInput) => recompute(y, [layerInput]) } : {}),
  });
  const { losses, scores } = labelWords
    ? answeredInWords(model, w, hidden, { words: labelWords, over })
    : answered(model, w, hidden, over);
  const names = Object.keys(leaves);
  const gradients = withGradient ? grad(reduceSum(losses), Object.values(leaves)) : [];
  const executable = await model.load(
    {
      losses,
      scores,
      ...Object.fromEntries(gradients.map((gradient, i) => [`d.${names[i]}`, gradient])),
    },
    options,
  );
  const needs = new Set(executable.program.inputs.map(({ name }) => name));
  const shapes = Object.fromEntries(
    Object.entries(leaves).map(([name, { shape }]) => [name, shape as number[]]),
  );
  return {
    shapes,
    async run(given, { places, labels, gold }, parameters) {
      const read = labelWords ? continued(given, labelWords) : given;
      const all = lengthsOf(model, read);
      const { ids, rows: B, length: T } = padRows(read);
      const answersAt = labelWords
        ? places.flatMap((place, e) =>
            labelWords.flatMap((word, c) =>
              word.map((_, i) => (e * labelWords.length + c) * T + place + i),
            ),
          )
        : places.map((place, b) => b * T + place);
      const grid = (values: Float64Array) => int64(values, [B, T]);
      const feeds = {
        ids: grid(ids.map((id) => Math.max(0, id))),
        slots: grid(ids.map((id) => Math.max(0, -id))),
        positions: grid(ids.map((_, i) => i % T)),
        lengths: int64(all),
        rows: int64(answersAt),
        labels: int64(labels),
        gold: int64(gold),
        ...Object.fromEntries(names.map((n) => [n, float32(parameters[n]!, shapes[n]!)])),
      };
      const used = Object.entries(feeds).filter(([name]) => needs.has(name));
      const out = await executable.run(Object.fromEntries(used));
      return {
        losses: floats(out.losses),
        scores: floats(out.scores),
        gradients: Object.fromEntries(
          withGradient ? names.map((name) => [name, floats(out[`d.${name}`])]) : [],
        ),
      };
    },
    unload: () => executable.unload(),
  };
}

/** Each sequence once a word, with all of it but its last token. */
function continued(
  sequences: readonly (readonly number[])[],
  words: readonly (readonly number[])[],
): number[][] {
  return sequences.flatMap((ids) => words.map((word) => [...ids, ...word.slice(0, -1)]));
}

/**
 * Bytes of activations that the gradient of `rows` sequences of `length` tokens keeps, about: per
 * layer what its products read, and each head's weights.
 */
export function activationBytes(config: ModelConfig, rows: number, length: number): number {
  const { layers, width, innerWidth, heads, kvHeads, headWidth } = config;
  const perToken = 4 * width + 2 * (heads + kvHeads) * headWidth + 4 * innerWidth;
  return 4 * layers * rows * length * (perToken + heads * length);
}

function lengthsOf(model: LanguageModel, rows: readonly (readonly number[])[]): number[] {
  const lengths = rows.map((row) => row.length);
  checkLengths(model, lengths);
  return lengths;
}

/**
 * Word embeddings [R, D] with virtual tokens [P, D] at `slots` [R] (0: the word stays). As a product
 * with a one-hot matrix, so that the gradient is one too.
 */
function withVirtual(words: Tensor, virtual: Tensor, slots: Tensor): Tensor {
  const P = virtual.shape[0] as number;
  const column = reshape(slots, [-1, 1]);
  const numbers = integers(
    Array.from({ length: P }, (_, i) => i + 1),
    [1, P],
  );
  const chosen = cast(equal(column, numbers), 'float32'); // [R, P]
  const isWord = cast(equal(column, integers([0], [1, 1])), 'float32'); // [R, 1]
  return add(mul(words, isWord), matmul(chosen, virtual));
}

/** Scores [S, C] of the label words from hidden states [S, D], and each row's loss [S]. */
function answered(
  { architecture }: LanguageModel,
  w: Weights,
  hidden: Tensor,
  over: 'labels' | 'vocabulary',
): { losses: Tensor; scores: Tensor } {
  const labels = input('labels', ['C'], 'int64');
  const gold = input('gold', ['S'], 'int64');
  const scores = architecture.head(w, hidden, labels);
  // Not logSumExp: the engine adds a whole vocabulary up one by one, which costs four digits.
  const logProbs = logSoftmax(over === 'labels' ? scores : architecture.head(w, hidden));
  const right = reshape(over === 'labels' ? gold : gather(labels, gold), ['S', 1]);
  return { losses: neg(reshape(takeAlong(logProbs, right), ['S'])), scores };
}

/**
 * Scores [E, C] of label words of several tokens, the sums of their tokens' log-probabilities, from
 * the hidden states [E·R, D] at which the R tokens of all words are foretold, and each loss [E].
 */
function answeredInWords(
  { architecture }: LanguageModel,
  w: Weights,
  hidden: Tensor,
  { words, over }: { words: readonly (readonly number[])[]; over: 'labels' | 'vocabulary' },
): { losses: Tensor; scores: Tensor } {
  const gold = input('gold', ['E'], 'int64');
  const tokens = words.flat();
  const [R, C] = [tokens.length, words.length];
  const owners = words.flatMap((word, c) => word.flatMap(() => words.map((_, k) => +(k === c))));
  const targets = expand(integers(tokens, [1, R]), ['E', R]);
  const logProbs = logSoftmax(architecture.head(w, hidden)); // [E·R, V]
  const taken = reshape(takeAlong(logProbs, reshape(targets, [-1, 1])), ['E', R], true);
  const scores = matmul(taken, constant(owners, [R, C])); // [E, C]
  const right = reshape(gold, ['E', 1]);
  const answers = over === 'labels' ? logSoftmax(scores) : scores;
  return { losses: neg(reshape(takeAlong(answers, right), ['E'])), scores };
}
