/**
 * The programs that a language model runs, each emitted once and good for all lengths.
 *
 * - `scorer`: whole sequences, nothing cached: hidden state, logits or label logits at one place each.
 * - `prefill`: whole sequences, keeping keys and values in the engine.
 * - `brancher`: N branches of T tokens over each of G cached prefixes; label logits at branch ends.
 */
import { DataError } from '../errors.ts';
import {
  float32,
  floats,
  gather,
  type HostTensor,
  input,
  int64,
  type Kept,
  logSoftmax,
  logSumExp,
  reshape,
  sub,
  type Tensor,
} from '../tensor/index.ts';
import { embed, type ModelConfig, type Weights } from './architecture.ts';
import { type LayerCache, MASKED, sequences, tree } from './attention.ts';
import type { LanguageModel } from './language-model.ts';
import { type LoraOptions, withLora } from './lora.ts';
import type { Precision } from './prepared-weights.ts';
import { groupByTree, type TokenTree, tokenTree } from './token-tree.ts';

export interface ProgramOptions {
  readonly precision?: Precision;
  readonly prepack?: boolean;
}

/** What is wanted at each sequence's place. */
export type Want = 'hidden' | 'readout' | 'logits' | 'logProbs' | 'labels' | 'labelLogProbs';

/** Ids padded on the right to one length. */
export interface Batch {
  readonly ids: Float64Array;
  readonly rows: number;
  readonly length: number;
}

/** Rows of ids as one padded batch. */
export function padRows(rows: readonly (readonly number[])[], pad = 0): Batch {
  const length = rows.reduce((longest, row) => Math.max(longest, row.length), 1);
  const ids = new Float64Array(rows.length * length).fill(pad);
  rows.forEach((row, r) => {
    ids.set(row, r * length);
  });
  return { ids, rows: rows.length, length };
}

/** @throws DataError when a sequence is empty (prefixes may be) or longer than the model can read */
export function checkLengths(model: LanguageModel, lengths: readonly number[], shortest = 1): void {
  const limit = model.config.contextLength;
  for (const length of lengths) {
    if (length < shortest) {
      throw new DataError(`${model.name}: cannot read an empty sequence of tokens`);
    }
    if (length > limit) {
      throw new DataError(
        `${model.name}: a sequence has ${length} tokens, the context window holds ${limit}, shorten the text or the prompt`,
      );
    }
  }
}

export interface Scorer {
  /**
   * Values at `places` (one index per sequence): [B, D], [B, V] or [B, C].
   * `labels` are vocabulary ids, for `want: 'labels'` alone.
   */
  run(
    sequences: readonly (readonly number[])[],
    places: readonly number[],
    labels?: readonly number[],
  ): Promise<Float32Array<ArrayBuffer>>;
  unload(): Promise<void>;
}

export async function loadScorer(
  model: LanguageModel,
  want: Want,
  options: ProgramOptions = {},
): Promise<Scorer> {
  const w = await model.weights(options.precision);
  const ids = input('ids', ['B', 'T'], 'int64');
  const positions = input('positions', ['B', 'T'], 'int64');
  const lengths = input('lengths', ['B'], 'int64');
  const rows = input('rows', ['S'], 'int64'); // flat index of each wanted place
  const flat = (t: Tensor) => reshape(t, ['B*T']);
  const causal = model.config.kind === 'causal';
  const attend = sequences(model.config, ['B', 'T'], { causal, lengths });
  const x = embed(model.architecture, w, { ids: flat(ids), positions: flat(positions) });
  const hidden = model.architecture.forward(w, x, flat(positions), attend, {
    select: (t) => gather(t, rows),
  });
  const out = wanted(want, model, w, hidden);
  const executable = await model.load({ out }, options);
  const needs = new Set(executable.program.inputs.map(({ name }) => name));
  return {
    async run(given, places, labelIds = []) {
      checkLengths(
        model,
        given.map((row) => row.length),
      );
      const batch = padRows(given);
      const { rows: B, length: T } = batch;
      const feeds = {
        ids: int64(batch.ids, [B, T]),
        positions: int64(
          Float64Array.from({ length: B * T }, (_, i) => i % T),
          [B, T],
        ),
        lengths: int64(given.map((row) => row.length)),
        rows: int64(places.map((place, b) => b * T + place)),
        labels: int64(labelIds),
      };
      const used = Object.fromEntries(Object.entries(feeds).filter(([name]) => needs.has(name)));
      return floats((await executable.run(used)).out);
    },
    unload: () => executable.unload(),
  };
}

/** Keys and values of G prefixes of at most `length` tokens, kept in the engine. */
export interface PrefixCache {
  readonly lengths: readonly number[];
  readonly length: number;
  /** By input name of the branching program: "k.0", "v.0", … */
  readonly tensors: Readonly<Record<string, Kept>>;
  readonly sizeBytes: number;
}

export interface Prefiller {
  run(prefixes: readonly (readonly number[])[]): Promise<PrefixCache>;
  unload(): Promise<void>;
}

/** Bytes of keys and values for one token. */
export function cacheBytesPerToken(model: LanguageModel): number {
  const { layers, kvHeads, headWidth } = model.config;
  return layers * 2 * kvHeads * headWidth * 4;
}

/** `adapter`: LoRA's factors by input name, when the program is made with `lora`. */
export async function loadPrefiller(
  model: LanguageModel,
  { lora, ...options }: ProgramOptions & { lora?: LoraOptions | undefined } = {},
  adapter: () => Readonly<Record<string, Kept>> = () => ({}),
): Promise<Prefiller> {
  const base = await model.weights(options.precision);
  const w = lora ? withLora(base, model.architecture, lora).weights : base;
  const ids = input('ids', ['B', 'T'], 'int64');
  const positions = input('positions', ['B', 'T'], 'int64');
  const flat = (t: Tensor) => reshape(t, ['B*T']);
  const outputs: Record<string, Tensor> = {};
  const attend = sequences(model.config, ['B', 'T'], {
    causal: true,
    onCache(layer, { k, v }) {
      outputs[`k.${layer}`] = k;
      outputs[`v.${layer}`] = v;
    },
  });
  const x = embed(model.architecture, w, { ids: flat(ids), positions: flat(positions) });
  model.architecture.forward(w, x, flat(positions), attend);
  // The last layer's output is not asked for, so it is not computed.
  const executable = await model.load(outputs, options);
  const names = Object.keys(outputs);
  const needs = new Set(executable.program.inputs.map(({ name }) => name));
  return {
    async run(prefixes) {
      checkLengths(
        model,
        prefixes.map((prefix) => prefix.length),
        0,
      );
      const { ids: padded, rows, length } = padRows(prefixes);
      const at = Float64Array.from({ length: rows * length }, (_, i) => i % length);
      const feeds = { ids: int64(padded, [rows, length]), positions: int64(at, [rows, length]) };
      // Of the last layer's factors some may be of no use here.
      const factors = Object.entries(adapter()).filter(([name]) => needs.has(name));
      const given = { ...feeds, ...Object.fromEntries(factors) };
      const tensors = await executable.run(given, { keep: names });
      return {
        lengths: prefixes.map((prefix) => prefix.length),
        length,
        tensors,
        sizeBytes: rows * length * cacheBytesPerToken(model),
      };
    },
    unload: () => executable.unload(),
  };
}

export interface Brancher {
  /**
   * Branches (each a row of ids) after every prefix of the cache.
   * Returns [G, N, C] label logits, or [G, N, D] hidden states, at each branch's last token.
   */
  run(
    cache: PrefixCache,
    branches: readonly (readonly number[])[],
    labels?: readonly number[],
  ): Promise<Float32Array<ArrayBuffer>>;
  unload(): Promise<void>;
}

export async function loadBrancher(
  model: LanguageModel,
  want: Want,
  options: ProgramOptions = {},
): Promise<Brancher> {
  const { config, architecture } = model;
  const w = await model.weights(options.precision);
  const ids = input('ids', ['G', 'M'], 'int64'); // the tree's tokens, again for each prefix
  const positions = input('positions', ['G*M'], 'int64');
  const rows = input('rows', ['S'], 'int64'); // flat index of each branch's last node
  const masks = new Map<number | undefined, Tensor>();
  const maskOf = (window: number | undefined) => {
    const mask = masks.get(window) ?? input(maskName(window), ['G', 1, 'M', '(L+M)']);
    masks.set(window, mask);
    return mask;
  };
  const attend = tree(config, ['G', 'M'], cacheInputs(config), maskOf);
  const x = embed(architecture, w, { ids: reshape(ids, ['G*M']), positions });
  const hidden = architecture.forward(w, x, positions, attend, {
    select: (t) => gather(t, rows),
  });
  const out = wanted(want, model, w, hidden);
  const executable = await model.load({ out }, options);
  const needsLabels = executable.program.inputs.some(({ name }) => name === 'labels');
  return {
    run: async (cache, given, labelIds = []) => {
      const longest = Math.max(...cache.lengths);
      checkLengths(
        model,
        given.map((row) => row.length && longest + row.length),
      );
      const labels = needsLabels ? { labels: int64(labelIds) } : {};
      const [G, N] = [cache.lengths.length, given.length];
      let all = new Float32Array();
      for (const group of groupByTree(given, NODES_PER_RUN)) {
        const nodes = tokenTree(group.map((n) => given[n]!));
        const seen = [...masks.keys()].map((window) => [
          maskName(window),
          treeMask(nodes, cache, window),
        ]);
        const feeds = { ...treeFeeds(nodes, cache), ...labels, ...Object.fromEntries(seen) };
        const values = floats((await executable.run({ ...feeds, ...cache.tensors })).out);
        const width = values.length / (G * group.length);
        if (all.length === 0) all = new Float32Array(G * N * width);
        group.forEach((n, i) => {
          for (let g = 0; g < G; g++) {
            const from = (g * group.length + i) * width;
            all.set(values.subarray(from, from + width), (g * N + n) * width);
          }
        });
      }
      return all;
    },
    unload: () => executable.unload(),
  };
}

/** Nodes of one run: as many as fill the processor; more cost memory and scores of strangers. */
const NODES_PER_RUN = 96;

const maskName = (window: number | undefined) => (window ? `mask.${window}` : 'mask');

/** The tree's nodes after each prefix, and where its branches end. */
function treeFeeds({ ids, depths, ends }: TokenTree, { lengths }: PrefixCache) {
  const [G, M] = [lengths.length, ids.length];
  const all = new Float64Array(G * M);
  const positions = new Float64Array(G * M);
  lengths.forEach((length, g) => {
    all.set(ids, g * M);
    for (let m = 0; m < M; m++) positions[g * M + m] = length + depths[m]!;
  });
  const rows = lengths.flatMap((_, g) => ends.map((end) => g * M + end));
  return { ids: int64(all, [G, M]), positions: int64(positions), rows: int64(rows) };
}

/** What is added to the scores [G, 1, M, L+M]: 0 where a node sees a token, much less elsewhere. */
function treeMask(
  { parents, depths }: TokenTree,
  { lengths, length: L }: PrefixCache,
  window = Number.POSITIVE_INFINITY,
): HostTensor {
  const [G, M] = [lengths.length, parents.length];
  const mask = new Float32Array(G * M * (L + M)).fill(MASKED);
  lengths.forEach((prefix, g) => {
    for (let m = 0; m < M; m++) {
      const row = (g * M + m) * (L + M);
      const first = Math.max(0, prefix + depths[m]! - window + 1);
      if (first < prefix) mask.fill(0, row + first, row + prefix);
      for (let at = m; at >= 0 && depths[m]! - depths[at]! < window; at = parents[at]!) {
        mask[row + L + at] = 0;
      }
    }
  });
  return float32(mask, [G, 1, M, L + M]);
}

/** Keys and values of a prefix cache as inputs of a program, by layer. */
export function cacheInputs(config: ModelConfig): (layer: number) => LayerCache {
  const caches = new Map<number, LayerCache>();
  const shape = ['G', config.kvHeads, 'L', config.headWidth];
  return (layer) => {
    const cache = caches.get(layer) ?? {
      k: input(`k.${layer}`, shape),
      v: input(`v.${layer}`, shape),
    };
    caches.set(layer, cache);
    return cache;
  };
}

/** The graph of what is wanted of hidden states [S, D]. */
function wanted(want: Want, { architecture }: LanguageModel, w: Weights, hidden: Tensor): Tensor {
  const labels = () => architecture.head(w, hidden, input('labels', ['C'], 'int64'));
  switch (want) {
    case 'hidden':
      return hidden;
    case 'readout':
      return architecture.readout(w, hidden);
    case 'logits':
      return architecture.head(w, hidden);
    case 'logProbs':
      return logSoftmax(architecture.head(w, hidden));
    case 'labels':
      return labels();
    case 'labelLogProbs':
      return sub(labels(), logSumExp(architecture.head(w, hidden), [-1], true));
  }
}
