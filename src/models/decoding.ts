/**
 * One token after another: a program that reads one token of each of R = G·N sequences and gives the
 * logits of what comes next. G prompts are kept as keys and values once, however many samples N are
 * written after each; what a sequence wrote itself stands in its own tail, one position longer after
 * every step. All of it stays in the engine.
 *
 *   rows [G·N], prompt keys [G, KV, L, d], tails [G, N, KV, S, d]
 *
 * Works under every architecture with `forward`; adapters come in as inputs, so that several share a
 * base. Left out: tails in pages (a step copies the tails, so a text's cost grows with its square).
 */
import { type Dim, product, sum } from '../tensor/dims.ts';
import {
  add,
  concat,
  type Executable,
  float32,
  gather,
  type HostTensor,
  input,
  int64,
  type Kept,
  matmul,
  reshape,
  softmax,
  split,
  type Tensor,
  transpose,
} from '../tensor/index.ts';
import { type Attend, embed, type ModelConfig } from './architecture.ts';
import type { LayerCache } from './attention.ts';
import type { LanguageModel } from './language-model.ts';
import { type LoraOptions, withLora } from './lora.ts';
import type { Precision } from './prepared-weights.ts';
import { cacheInputs, type PrefixCache } from './programs.ts';

/** Added to the score of what may not be seen. */
const MASKED = -1e9;

/** Tensors that stay in the engine, by name. */
export type KeptByName = Readonly<Record<string, Kept>>;

/** Sequences that are being written. */
export interface Decoding {
  readonly prompts: PrefixCache;
  /** N, sequences of each prompt. */
  readonly each: number;
  /** S, positions in the tails. */
  readonly written: number;
  /** By input name: "tail.k.0", "tail.v.0", …; none before the first step. */
  readonly tails: KeptByName;
}

export interface Decoder {
  /** Reads one token a row; the logits [R, V] stay in the engine. What went in is freed. */
  step(state: Decoding, ids: readonly number[]): Promise<{ state: Decoding; logits: Kept }>;
  /**
   * Goes on with some rows alone: `rows` [G', N] are indices into the rows as they are, all of a
   * group from one group. What went in is freed.
   */
  select(state: Decoding, rows: readonly (readonly number[])[]): Promise<Decoding>;
  drop(state: Decoding): Promise<void>;
  free(logits: Kept): Promise<void>;
  unload(): Promise<void>;
}

export interface DecoderOptions {
  readonly precision?: Precision;
  readonly prepack?: boolean;
  readonly lora?: LoraOptions | undefined;
}

/** `adapter`: the factors by input name, when the program was made with `lora`. */
export async function loadDecoder(
  model: LanguageModel,
  { precision, prepack, lora }: DecoderOptions = {},
  adapter: () => KeptByName = () => ({}),
): Promise<Decoder> {
  const { config, architecture, engine } = model;
  const base = await model.weights(precision);
  const w = lora ? withLora(base, architecture, lora).weights : base;
  const ids = input('ids', ['G*N'], 'int64');
  const positions = input('positions', ['G*N'], 'int64');
  const tails = tailInputs(config);
  const grown: Record<string, Tensor> = {};
  const attend = oneToken(config, cacheInputs(config), tails, (layer, { k, v }) => {
    grown[`tail.k.${layer}`] = k;
    grown[`tail.v.${layer}`] = v;
  });
  const x = embed(architecture, w, { ids, positions });
  const hidden = architecture.forward(w, x, positions, attend);
  const logits = architecture.head(w, hidden);
  const outputs = Object.fromEntries(Object.entries(grown).map(([k, t]) => [`next.${k}`, t]));
  const names = Object.keys(grown);
  const program = await model.load(
    { logits, ...outputs },
    prepack === undefined ? {} : { prepack },
  );
  const needs = new Set(program.program.inputs.map(({ name }) => name));
  const selectors = lazySelectors(model);

  return {
    async step({ prompts, each: N, written: S, tails }, given) {
      const { lengths, length: L } = prompts;
      const G = lengths.length;
      const rows = G * N;
      const begun = S === 0 ? await emptyTails(model, [G, N]) : tails;
      const at = Float64Array.from({ length: rows }, (_, r) => lengths[Math.floor(r / N)]! + S);
      const mask = (window?: number) =>
        float32(maskOf(lengths, { L, S, window }), [G, 1, 1, 1, L + S + 1]);
      const feeds = {
        ids: int64(given),
        positions: int64(at),
        mask: mask(),
        'mask.window': mask(config.window),
        ...prompts.tensors,
        ...begun,
        ...adapter(),
      };
      const used = Object.entries(feeds).filter(([name]) => needs.has(name));
      const keep = program.program.outputs;
      const out = await program.run(Object.fromEntries(used), { keep });
      await engine.drop(Object.values(begun));
      const next = Object.fromEntries(names.map((name) => [name, out[`next.${name}`] as Kept]));
      const state = { prompts, each: N, written: S + 1, tails: next };
      return { state, logits: out.logits as Kept };
    },

    async select(state, rows) {
      const { prompts, each, tails } = state;
      const groups = rows.map(([first]) => Math.floor(first! / each));
      const indices = int64(rows.flat(), [rows.length, rows[0]!.length]);
      const chosen = await selectors.tails(indices, tails);
      await engine.drop(Object.values(tails));
      const next = { ...state, each: rows[0]!.length, tails: chosen };
      if (groups.length === prompts.lengths.length && groups.every((g, i) => g === i)) return next;
      const kept = await selectors.prompts(int64(groups), prompts.tensors);
      await engine.drop(Object.values(prompts.tensors));
      const lengths = groups.map((g) => prompts.lengths[g]!);
      const sizeBytes = (prompts.sizeBytes / prompts.lengths.length) * groups.length;
      return { ...next, prompts: { ...prompts, lengths, sizeBytes, tensors: kept } };
    },

    free: (logits) => engine.drop([logits]),

    drop: ({ prompts, tails }) =>
      engine.drop([...Object.values(prompts.tensors), ...Object.values(tails)]),

    async unload() {
      await program.unload();
      await selectors.unload();
    },
  };
}

/** Tails of every layer as inputs, by layer. */
function tailInputs(config: ModelConfig): (layer: number) => LayerCache {
  const shape = ['G', 'N', config.kvHeads, 'S', config.headWidth];
  return (layer) => ({
    k: input(`tail.k.${layer}`, shape),
    v: input(`tail.v.${layer}`, shape),
  });
}

/** Rows [G·N], one token each, over prompts that N rows share and tails of their own. */
function oneToken(
  { kvHeads: KV, heads, headWidth: d, attentionScale: alpha }: ModelConfig,
  promptOf: (layer: number) => LayerCache,
  tailOf: (layer: number) => LayerCache,
  onTail: (layer: number, tail: LayerCache) => void,
): Attend {
  const g = heads / KV;
  const S1 = sum('S', 1);
  const seen = (name: string) => input(name, ['G', 1, 1, 1, sum('L', S1)]);
  const masks = new Map<string, Tensor>();
  const maskFor = (name: string) => {
    const mask = masks.get(name) ?? seen(name);
    masks.set(name, mask);
    return mask;
  };
  /** Between rows and what their group shares: [G, N, KV, g, x] and [G, KV, N·g, x]. */
  const fold = (x: Tensor, width: Dim) =>
    reshape(transpose(x, [0, 2, 1, 3, 4]), ['G', KV, product([g, 'N']), width]);
  const unfold = (x: Tensor, width: Dim) =>
    transpose(reshape(x, ['G', KV, 'N', g, width]), [0, 2, 1, 3, 4]);
  return (q, k, v, { layer, window }) => {
    const prompt = promptOf(layer);
    const tail = tailOf(layer);
    const own = (x: Tensor) => reshape(x, ['G', 'N', KV, 1, d]);
    const keys = concat([tail.k, own(k)], 3); // [G, N, KV, S+1, d]
    const values = concat([tail.v, own(v)], 3);
    onTail(layer, { k: keys, v: values });
    const queries = reshape(q, ['G', 'N', KV, g, d]);
    const toPrompt = matmul(fold(queries, d), prompt.k, { transB: true, alpha }); // [G, KV, N·g, L]
    const toTail = matmul(queries, keys, { transB: true, alpha }); // [G, N, KV, g, S+1]
    const scores = concat([unfold(toPrompt, 'L'), toTail], -1);
    const mask = maskFor(window === undefined ? 'mask' : 'mask.window');
    const [ofPrompt, ofTail] = split(softmax(add(scores, mask)), ['L', S1], -1);
    const fromPrompt = unfold(matmul(fold(ofPrompt!, 'L'), prompt.v), d);
    return reshape(add(fromPrompt, matmul(ofTail!, values)), ['G*N', heads * d]);
  };
}

/** 0 or a large negative number [G, L+S+1]: the prompt up to its length, the tail, a window back. */
function maskOf(
  lengths: readonly number[],
  {
    L,
    S,
    window = Number.POSITIVE_INFINITY,
  }: { L: number; S: number; window?: number | undefined },
): Float32Array<ArrayBuffer> {
  const width = L + S + 1;
  const mask = new Float32Array(lengths.length * width);
  lengths.forEach((length, g) => {
    for (let i = 0; i < width; i++) {
      const at = i < L ? i : length + i - L;
      const isReal = i >= L || i < length;
      if (!isReal || length + S - at >= window) mask[g * width + i] = MASKED;
    }
  });
  return mask;
}

/** Tails without a position: one empty tensor under every name. */
async function emptyTails({ config, engine }: LanguageModel, [G, N]: [number, number]) {
  const shape = [G, N, config.kvHeads, 0, config.headWidth];
  const nothing = await engine.store(float32(new Float32Array(0), shape));
  const names = Array.from({ length: config.layers }, (_, i) => [`tail.k.${i}`, `tail.v.${i}`]);
  return Object.fromEntries(names.flat().map((name) => [name, nothing]));
}

/** Programs that pick rows; a run in which all sequences end together never loads them. */
function lazySelectors(model: LanguageModel) {
  const { layers, kvHeads: KV, headWidth: d } = model.config;
  const names = Array.from({ length: layers }, (_, i) => [`k.${i}`, `v.${i}`]).flat();
  const rows = input('rows', ['H', 'M'], 'int64');
  const groups = input('groups', ['H'], 'int64');
  const ofTail = (name: string) => {
    const tail = input(name, ['G', 'N', KV, 'S', d]);
    return gather(reshape(tail, ['G*N', KV, 'S', d]), rows); // [H, M, KV, S, d]
  };
  const ofPrompt = (name: string) => gather(input(name, ['G', KV, 'L', d]), groups);
  const loaded: Executable[] = [];
  const loader = (of: (name: string) => Tensor, prefix: string) => {
    let program: Promise<Executable> | undefined;
    return async (indices: HostTensor, given: KeptByName): Promise<KeptByName> => {
      // An output cannot be named as its input.
      const outputs = names.map((name) => [`chosen.${prefix}${name}`, of(prefix + name)]);
      program ??= model.load(Object.fromEntries(outputs));
      const executable = await program;
      if (!loaded.includes(executable)) loaded.push(executable);
      const { name } = executable.program.inputs.find((i) => i.dtype === 'int64')!;
      const keep = executable.program.outputs;
      const out = await executable.run({ [name]: indices, ...given }, { keep });
      return Object.fromEntries(
        names.map((n) => [prefix + n, out[`chosen.${prefix}${n}`] as Kept]),
      );
    };
  };
  return {
    tails: loader(ofTail, 'tail.'),
    prompts: loader(ofPrompt, ''),
    async unload() {
      for (const program of loaded) await program.unload();
    },
  };
}
