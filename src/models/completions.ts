/**
 * Texts that follow prompts, N after each of G: the log-probability of each of their tokens under a
 * model with LoRA, an objective made of these, and its gradient. One graph reads every prompt once,
 * the rows of all its texts attend to it, and the gradient flows back through it: what a group of
 * samples shares is neither computed nor differentiated twice.
 *
 *   rows [G·L + G·N·T]: prompts without their last token, then texts, each behind that token
 *
 * Prompts that begin alike have their common beginning in front, once: [C + G·L + G·N·T].
 *
 * Objectives are sums over tokens with weights from outside, so that passes can be added up. Left
 * out: int8 (gradients run in float32), and recomputation, since texts of a prompt's size are short.
 */
import { product, sum } from '../tensor/dims.ts';
import {
  concat,
  type Dim,
  type Executable,
  expand,
  float32,
  floats,
  gather,
  grad,
  input,
  logSoftmax,
  type Parameters,
  reshape,
  split,
  type Tensor,
  takeAlong,
  transpose,
} from '../tensor/index.ts';
import { type Attend, embed, type ModelConfig } from './architecture.ts';
import { branches, type LayerCache, sequences } from './attention.ts';
import {
  type CompletionGroup,
  type CompletionSignals,
  collect,
  feedsOf,
  passes,
  signalsOf,
} from './completion-passes.ts';
import type { LanguageModel } from './language-model.ts';
import { type LoraOptions, loraShapes, withLora } from './lora.ts';

export type { CompletionGroup, CompletionSignals } from './completion-passes.ts';

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

export async function loadCompletionReader(
  model: LanguageModel,
  lora: LoraOptions,
): Promise<CompletionReader> {
  const programs = lazily(async (isShared) => {
    const { logProbs } = await completionGraph(model, lora, { isShared });
    return model.load({ logProbs }, { prepack: false });
  });
  const shapes = loraShapes(model.architecture, model.config, lora);
  return {
    async read(groups, parameters) {
      const out = [];
      for (const pass of passes(model, groups)) {
        const executable = await programs.of(pass.common > 0);
        const feeds = { ...feedsOf(pass), ...factorsOf(shapes, parameters) };
        const values = floats((await executable.run(used(executable, feeds))).logProbs);
        out.push({ pass, values });
      }
      return collect(groups, out);
    },
    unload: programs.unload,
  };
}

export async function loadCompletionTrainer(
  model: LanguageModel,
  lora: LoraOptions,
  objective: Objective,
): Promise<CompletionTrainer> {
  const perToken = (name: string) => input(name, ['S']);
  const programs = lazily(async (isShared) => {
    const { logProbs, leaves } = await completionGraph(model, lora, { isShared });
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
    const named = Object.fromEntries(gradients.map((gradient, i) => [`d.${names[i]}`, gradient]));
    return model.load({ logProbs, ...quantities, ...named }, { prepack: false });
  });
  const shapes = loraShapes(model.architecture, model.config, lora);
  return {
    async run(groups, signals, parameters) {
      const sums: Record<string, number> = {};
      const totals: Record<string, Float32Array<ArrayBuffer>> = {};
      const read = [];
      for (const pass of passes(model, groups)) {
        const executable = await programs.of(pass.common > 0);
        const feeds = {
          ...feedsOf(pass),
          ...signalsOf(pass, signals),
          ...factorsOf(shapes, parameters),
        };
        const out = await executable.run(used(executable, feeds));
        for (const [name, value] of Object.entries(out)) {
          if (name === 'logProbs') continue;
          const values = floats(value);
          if (name.startsWith('d.')) totals[name.slice(2)] = plus(totals[name.slice(2)], values);
          else sums[name] = (sums[name] ?? 0) + values[0]!;
        }
        read.push({ pass, values: floats(out.logProbs) });
      }
      return { quantities: sums, gradients: totals, logProbs: collect(groups, read) };
    },
    unload: programs.unload,
  };
}

/** The program for prompts that are read apart, and the one for prompts that begin alike. */
function lazily(load: (isShared: boolean) => Promise<Executable>) {
  const loaded = new Map<boolean, Promise<Executable>>();
  return {
    of(isShared: boolean): Promise<Executable> {
      const program = loaded.get(isShared) ?? load(isShared);
      loaded.set(isShared, program);
      return program;
    },
    async unload() {
      for (const program of loaded.values()) await (await program).unload();
    },
  };
}

/** Log-probabilities [S] of the texts' tokens, and LoRA's factors as the graph's leaves. */
async function completionGraph(
  model: LanguageModel,
  lora: LoraOptions,
  { isShared }: { isShared: boolean },
) {
  const { config, architecture } = model;
  const { weights: w, leaves } = withLora(await model.weights(), architecture, lora);
  const prompt = input('prompt', ['G', 'L'], 'int64'); // without what is common
  const texts = input('texts', ['G', 'N', 'T'], 'int64');
  const positions = input('positions', ['P'], 'int64'); // of all rows
  const rows = input('rows', ['S'], 'int64'); // flat index of each row that predicts a token
  const targets = input('targets', ['S', 1], 'int64'); // the tokens
  const own = [reshape(prompt, [product(['G', 'L'])]), reshape(texts, [product(['G', 'N', 'T'])])];
  const ids = concat(isShared ? [input('common', ['C'], 'int64'), ...own] : own, 0);
  const at = reshape(positions, ids.shape, true);
  const attend = isShared ? sharedAttend(config) : apartAttend(config);
  const x = embed(architecture, w, { ids, positions: at });
  const hidden = architecture.forward(w, x, at, attend, { select: (t) => gather(t, rows) });
  // Not a logsumexp: the engine's loses digits over a whole vocabulary.
  const logProbs = takeAlong(logSoftmax(architecture.head(w, hidden)), targets);
  return { logProbs: reshape(logProbs, ['S']), leaves };
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

/** Rows [G·L + G·N·T]: whole prompts, and texts that see their own. */
function apartAttend(config: ModelConfig): Attend {
  const caches = new Map<number, LayerCache>();
  const onCache = (layer: number, cache: LayerCache) => void caches.set(layer, cache);
  const toPrompts = sequences(config, ['G', 'L'], { causal: true, onCache });
  const dims = { G: 'G', N: 'N', T: 'T', L: 'L' };
  const lengths = input('lengths', ['G'], 'int64'); // of the prompts
  const toTexts = branches(config, dims, (layer) => caches.get(layer)!, lengths);
  return inParts([product(['G', 'L']), product(['G', 'N', 'T'])], [toPrompts, toTexts]);
}

/** Rows [C + G·L + G·N·T]: the common beginning, prompts that go on from it, and texts that see both. */
function sharedAttend(config: ModelConfig): Attend {
  const { kvHeads: KV, headWidth: d } = config;
  const beginning = new Map<number, LayerCache>();
  const whole = new Map<number, LayerCache>();
  const first = sequences(config, [1, 'C'], {
    causal: true,
    onCache: (layer, cache) => void beginning.set(layer, cache),
  });
  const commonLength = input('commonLength', [1], 'int64');
  const dims = { G: 1, N: 'G', T: 'L', L: 'C' };
  const second = branches(config, dims, (layer) => beginning.get(layer)!, commonLength);
  const joined = (common: Tensor, rows: Tensor) => {
    const own = transpose(reshape(rows, ['G', 'L', KV, d]), [0, 2, 1, 3]); // [G, KV, L, d]
    return concat([expand(common, ['G', KV, 'C', d]), own], 2); // [G, KV, C+L, d]
  };
  const goOn: Attend = (q, k, v, options) => {
    const common = beginning.get(options.layer)!;
    whole.set(options.layer, { k: joined(common.k, k), v: joined(common.v, v) });
    return second(q, k, v, options);
  };
  const lengths = input('lengths', ['G'], 'int64'); // of the prompts, with what is common
  const all = { G: 'G', N: 'N', T: 'T', L: sum('C', 'L') };
  const toTexts = branches(config, all, (layer) => whole.get(layer)!, lengths);
  return inParts(['C', product(['G', 'L']), product(['G', 'N', 'T'])], [first, goOn, toTexts]);
}

/** Rows in parts, each of which attends in a way of its own; in order. */
function inParts(sizes: readonly Dim[], ways: readonly Attend[]): Attend {
  return (q, k, v, options) => {
    const [queries, keys, values] = [q, k, v].map((x) => split(x, sizes, 0));
    const parts = ways.map((way, i) => way(queries![i]!, keys![i]!, values![i]!, options));
    return concat(parts, 0);
  };
}
