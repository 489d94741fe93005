/**
 * Texts that follow prompts, N after each of G: the log-probability of each of their tokens under a
 * model with LoRA, an objective made of these, and its gradient. One graph reads every prompt once,
 * the rows of all its texts attend to it, and the gradient flows back through it: what a group of
 * samples shares is neither computed nor differentiated twice.
 *
 *   rows [G·L + G·N·T]: prompts without their last token, then texts, each behind that token
 *
 * Objectives are sums over tokens with weights from outside, so that passes can be added up. Left
 * out: int8 (gradients run in float32), and recomputation, since texts of a prompt's size are short.
 */
import { product } from '../tensor/dims.ts';
import {
  concat,
  type Executable,
  float32,
  floats,
  gather,
  grad,
  input,
  int64,
  logSoftmax,
  type Parameters,
  reshape,
  split,
  type Tensor,
  takeAlong,
} from '../tensor/index.ts';
import { type Attend, embed } from './architecture.ts';
import { branches, type LayerCache, sequences } from './attention.ts';
import type { LanguageModel } from './language-model.ts';
import { type LoraOptions, loraShapes, withLora } from './lora.ts';
import { checkLengths, padRows } from './programs.ts';

type Ids = readonly number[];

/** A prompt (at least one token) and the texts after it (at least one token each). */
export interface CompletionGroup {
  readonly prompt: Ids;
  readonly texts: readonly Ids[];
}

/** What an objective is made of; S tokens of R texts. */
export interface CompletionTensors {
  /** ln π of each token [S], which carries the gradient. */
  readonly logProbs: Tensor;
  /** ln of what each token was drawn with [S]. */
  readonly oldLogProbs: Tensor;
  /** ln π_ref of each token [S]. */
  readonly refLogProbs: Tensor;
  /** Which text each token belongs to [S], int64. */
  readonly text: Tensor;
  /** One a text [R]. */
  readonly advantages: Tensor;
  /** What each token counts [S]; over a whole step they add up to one. */
  readonly weights: Tensor;
}

/** Scalars by name, each a sum over tokens; the one named `loss` is differentiated. */
export type Objective = (
  tensors: CompletionTensors,
) => Readonly<Record<string, Tensor>> & { readonly loss: Tensor };

/** By group and text; the vectors have one number a token. */
export interface CompletionSignals {
  readonly advantages: readonly (readonly number[])[];
  readonly oldLogProbs: readonly (readonly ArrayLike<number>[])[];
  readonly weights: readonly (readonly ArrayLike<number>[])[];
  /** @default the old ones */
  readonly refLogProbs?: readonly (readonly ArrayLike<number>[])[];
}

export interface CompletionOutcome {
  readonly quantities: Readonly<Record<string, number>>;
  readonly gradients: Parameters;
  /** ln π of the tokens, by group and text. */
  readonly logProbs: readonly (readonly Float32Array[])[];
}

export interface CompletionReader {
  /** ln π of every token, by group and text. */
  read(
    groups: readonly CompletionGroup[],
    parameters: Parameters,
  ): Promise<readonly (readonly Float32Array[])[]>;
  unload(): Promise<void>;
}

export interface CompletionTrainer {
  /** The objective and its gradient, summed over all texts. */
  run(
    groups: readonly CompletionGroup[],
    signals: CompletionSignals,
    parameters: Parameters,
  ): Promise<CompletionOutcome>;
  unload(): Promise<void>;
}

/** Most logits of one pass: 170 tokens of a vocabulary of 49,152. A pass takes some 4 MB a token. */
const LOGITS = 2 ** 23;

/** Most rows of one pass, its prompts' included, where a group has fewer. */
const ROWS = 512;

export async function loadCompletionReader(
  model: LanguageModel,
  lora: LoraOptions,
): Promise<CompletionReader> {
  const { logProbs } = await completionGraph(model, lora);
  const executable = await model.load({ logProbs }, { prepack: false });
  const shapes = loraShapes(model.architecture, model.config, lora);
  return {
    async read(groups, parameters) {
      const out = [];
      for (const pass of passes(model, groups)) {
        const feeds = { ...feedsOf(pass), ...factorsOf(shapes, parameters) };
        const values = floats((await executable.run(used(executable, feeds))).logProbs);
        out.push({ pass, values });
      }
      return collect(groups, out);
    },
    unload: () => executable.unload(),
  };
}

export async function loadCompletionTrainer(
  model: LanguageModel,
  lora: LoraOptions,
  objective: Objective,
): Promise<CompletionTrainer> {
  const { logProbs, leaves } = await completionGraph(model, lora);
  const perToken = (name: string) => input(name, ['S']);
  const quantities = objective({
    logProbs,
    oldLogProbs: perToken('oldLogProbs'),
    refLogProbs: perToken('refLogProbs'),
    weights: perToken('weights'),
    text: input('text', ['S'], 'int64'),
    advantages: input('advantages', ['R']),
  });
  const names = Object.keys(leaves);
  const gradients = grad(quantities.loss, Object.values(leaves));
  const executable = await model.load(
    {
      logProbs,
      ...quantities,
      ...Object.fromEntries(gradients.map((gradient, i) => [`d.${names[i]}`, gradient])),
    },
    { prepack: false },
  );
  const shapes = loraShapes(model.architecture, model.config, lora);
  return {
    async run(groups, signals, parameters) {
      const sums: Record<string, number> = {};
      const totals: Record<string, Float32Array<ArrayBuffer>> = {};
      const read = [];
      for (const pass of passes(model, groups)) {
        const feeds = {
          ...feedsOf(pass),
          ...signalsOf(pass, signals),
          ...factorsOf(shapes, parameters),
        };
        const out = await executable.run(used(executable, feeds));
        for (const name of Object.keys(quantities)) {
          sums[name] = (sums[name] ?? 0) + floats(out[name])[0]!;
        }
        for (const name of names) totals[name] = plus(totals[name], floats(out[`d.${name}`]));
        read.push({ pass, values: floats(out.logProbs) });
      }
      return { quantities: sums, gradients: totals, logProbs: collect(groups, read) };
    },
    unload: () => executable.unload(),
  };
}

/** Log-probabilities [S] of the texts' tokens, and LoRA's factors as the graph's leaves. */
async function completionGraph(model: LanguageModel, lora: LoraOptions) {
  const { config, architecture } = model;
  const { weights: w, leaves } = withLora(await model.weights(), architecture, lora);
  const lengths = input('lengths', ['G'], 'int64'); // of the prompts
  const prompt = input('prompt', ['G', 'L'], 'int64');
  const texts = input('texts', ['G', 'N', 'T'], 'int64');
  const positions = input('positions', ['P'], 'int64'); // of all rows
  const rows = input('rows', ['S'], 'int64'); // flat index of each row that predicts a token
  const targets = input('targets', ['S', 1], 'int64'); // the tokens
  const [ofPrompts, ofTexts] = [product(['G', 'L']), product(['G', 'N', 'T'])];
  const ids = concat([reshape(prompt, [ofPrompts]), reshape(texts, [ofTexts])], 0);
  const at = reshape(positions, ids.shape, true);

  const caches = new Map<number, LayerCache>();
  const onCache = (layer: number, cache: LayerCache) => void caches.set(layer, cache);
  const toPrompts = sequences(config, ['G', 'L'], { causal: true, onCache });
  const dims = { G: 'G', N: 'N', T: 'T', L: 'L' };
  const toTexts = branches(config, dims, (layer) => caches.get(layer)!, lengths);
  const attend: Attend = (q, k, v, options) => {
    const [queries, keys, values] = [q, k, v].map((x) => split(x, [ofPrompts, ofTexts], 0));
    const first = toPrompts(queries![0]!, keys![0]!, values![0]!, options);
    return concat([first, toTexts(queries![1]!, keys![1]!, values![1]!, options)], 0);
  };
  const x = embed(architecture, w, { ids, positions: at });
  const hidden = architecture.forward(w, x, at, attend, { select: (t) => gather(t, rows) });
  // Not a logsumexp: the engine's loses digits over a whole vocabulary.
  const logProbs = takeAlong(logSoftmax(architecture.head(w, hidden)), targets);
  return { logProbs: reshape(logProbs, ['S']), leaves };
}

/** Some texts of some groups, as many in each. */
interface Pass {
  readonly groups: readonly CompletionGroup[];
  /** Where each group's texts stand in what was given: group, and its texts. */
  readonly places: readonly { readonly group: number; readonly texts: readonly number[] }[];
}

/** Groups of as many texts together, in parts of bounded size. */
function passes(model: LanguageModel, groups: readonly CompletionGroup[]): Pass[] {
  checkLengths(
    model,
    groups.flatMap(({ prompt, texts }) => texts.map((t) => t.length && prompt.length + t.length)),
  );
  const most = LOGITS / model.config.vocabulary;
  const out: { groups: CompletionGroup[]; places: { group: number; texts: number[] }[] }[] = [];
  let room = 0;
  let rows = 0;
  const places = groups.flatMap(({ texts }, group) =>
    parts(texts, most).map((part) => ({ group, texts: part })),
  );
  for (const place of places.sort((a, b) => b.texts.length - a.texts.length)) {
    const { prompt } = groups[place.group]!;
    const texts = place.texts.map((i) => groups[place.group]!.texts[i]!);
    const size = texts.reduce((sum, { length }) => sum + length, 0);
    const own = prompt.length + size;
    const each = out.at(-1)?.places[0]?.texts.length;
    if (size > room || own > rows || each !== texts.length) {
      out.push({ groups: [], places: [] });
      room = Math.max(most, size);
      rows = Math.max(ROWS, own);
    }
    room -= size;
    rows -= own;
    out.at(-1)!.groups.push({ prompt, texts });
    out.at(-1)!.places.push(place);
  }
  return out;
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

function feedsOf({ groups }: Pass) {
  const beginnings = groups.map(({ prompt }) => prompt.slice(0, -1));
  const G = groups.length;
  const N = groups[0]!.texts.length;
  const prompt = padRows(beginnings);
  const L = prompt.length;
  // A text is read behind its prompt's last token; its own last token is read by nothing.
  const read = groups.flatMap(({ prompt, texts }) =>
    texts.map((text) => [prompt.at(-1)!, ...text.slice(0, -1)]),
  );
  const texts = padRows(read);
  const T = texts.length;
  const positions = [
    ...Array.from({ length: G * L }, (_, i) => i % L),
    ...read.flatMap((_, r) =>
      Array.from({ length: T }, (_, t) => beginnings[Math.floor(r / N)]!.length + t),
    ),
  ];
  const rows = read.flatMap((ids, r) => ids.map((_, t) => G * L + r * T + t));
  const targets = groups.flatMap((group) => group.texts.flat());
  return {
    lengths: int64(beginnings.map(({ length }) => length)),
    prompt: int64(prompt.ids, [G, L]),
    texts: int64(texts.ids, [G, N, T]),
    positions: int64(positions),
    rows: int64(rows),
    targets: int64(targets, [targets.length, 1]),
  };
}

function signalsOf({ groups, places }: Pass, signals: CompletionSignals) {
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

function factorsOf(shapes: Readonly<Record<string, readonly number[]>>, parameters: Parameters) {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, float32(parameters[name]!, shape)]),
  );
}

/** The feeds that a program has inputs for. */
function used<T>({ program }: Executable, feeds: Readonly<Record<string, T>>): Record<string, T> {
  const needs = new Set(program.inputs.map(({ name }) => name));
  return Object.fromEntries(Object.entries(feeds).filter(([name]) => needs.has(name)));
}

function plus(
  total: Float32Array<ArrayBuffer> | undefined,
  more: Float32Array<ArrayBuffer>,
): Float32Array<ArrayBuffer> {
  return total ? total.map((x, i) => x + more[i]!) : more;
}

function collect(
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
