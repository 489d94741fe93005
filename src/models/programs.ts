/**
 * The programs that a language model runs, each emitted once and good for all lengths.
 *
 * - `scorer`: whole sequences, nothing cached: hidden state, logits or label logits at one place each.
 * - `prefill`: whole sequences, keeping keys and values in the engine.
 * - `brancher`: N branches of T tokens over each of G cached prefixes; label logits at branch ends.
 */
import { DataError } from '../errors.ts';
import {
  type Executable,
  floats,
  gather,
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
import { branches, type LayerCache, sequences } from './attention.ts';
import type { LanguageModel } from './language-model.ts';
import type { Precision } from './prepared-weights.ts';

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
  const hidden = model.architecture.forward(w, x, flat(positions), attend, (t) => gather(t, rows));
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

export async function loadPrefiller(
  model: LanguageModel,
  options: ProgramOptions = {},
): Promise<Prefiller> {
  const w = await model.weights(options.precision);
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
      const tensors = await executable.run(feeds, { keep: names });
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
  const ids = input('ids', ['N', 'T'], 'int64');
  const rowIds = input('row_ids', ['G*N*T'], 'int64'); // branch ids repeated for each prefix
  const positions = input('positions', ['G*N*T'], 'int64');
  const lengths = input('lengths', ['G'], 'int64');
  const rows = input('rows', ['S'], 'int64'); // flat index of each branch's last token
  const attend = branches(config, { G: 'G', N: 'N', T: 'T', L: 'L' }, cacheInputs(config), lengths);
  const x = embed(model.architecture, w, { ids: rowIds, positions });
  const hidden = architecture.forward(w, x, positions, attend, (t) => gather(t, rows));
  const out = wanted(want, model, w, hidden);
  const executable = await model.load({ out, shape: ids }, options);
  return {
    run: async (cache, given, labelIds) => {
      const longest = Math.max(...cache.lengths);
      checkLengths(
        model,
        given.map((row) => row.length && longest + row.length),
      );
      return runBranches(executable, cache, given, labelIds);
    },
    unload: () => executable.unload(),
  };
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

async function runBranches(
  executable: Executable,
  cache: PrefixCache,
  given: readonly (readonly number[])[],
  labelIds: readonly number[] = [],
): Promise<Float32Array<ArrayBuffer>> {
  const { ids, rows: N, length: T } = padRows(given);
  const G = cache.lengths.length;
  const rowIds = new Float64Array(G * N * T);
  const positions = new Float64Array(G * N * T);
  const last: number[] = [];
  for (let g = 0; g < G; g++) {
    rowIds.set(ids, g * N * T);
    for (let n = 0; n < N; n++) {
      const start = (g * N + n) * T;
      for (let t = 0; t < T; t++) positions[start + t] = cache.lengths[g]! + t;
      last.push(start + given[n]!.length - 1);
    }
  }
  const out = await executable.run(
    {
      ids: int64(ids, [N, T]),
      row_ids: int64(rowIds),
      positions: int64(positions),
      lengths: int64(cache.lengths),
      rows: int64(last),
      ...(executable.program.inputs.some(({ name }) => name === 'labels')
        ? { labels: int64(labelIds) }
        : {}),
      ...cache.tensors,
    },
    { outputs: ['out'] },
  );
  return floats(out.out);
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
