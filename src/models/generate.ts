/**
 * Texts from a causal LM: sampled token by token in batches, with keys and values kept in the engine.
 *
 * Requests of the same prompt read it once. Of the sequences in hand those that have ended are taken
 * out when they are a quarter of the batch. Every request has its own seed, so what a text is does not
 * depend on what is written beside it (in float32 up to rounding, which decides between equals).
 */
import { ConfigError } from '../errors.ts';
import { float32, type Kept, type Parameters } from '../tensor/index.ts';
import { createRng, type Rng } from '../util/rng.ts';
import { type Decoder, type DecoderOptions, type Decoding, loadDecoder } from './decoding.ts';
import type { LanguageModel } from './language-model.ts';
import { loraShapes } from './lora.ts';
import { cacheBytesPerToken, checkLengths, loadPrefiller, type Prefiller } from './programs.ts';
import { loadSampler, type Sampler, type Sampling } from './sampler.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface GenerateRequest {
  /** Ids that stand before the text, at least one. */
  readonly prompt: readonly number[];
  /** Most tokens of the text, at least one. */
  readonly maxTokens: number;
  readonly seed: number | string;
  /** Texts at which it ends; they are not part of it. */
  readonly stop?: readonly string[] | undefined;
}

export interface Generated {
  /** Without the token that ended it; a text that met a `stop` may be shorter than its ids. */
  readonly ids: readonly number[];
  readonly text: string;
  /** ln P of each id under the model's whole distribution at temperature 1. */
  readonly logProbs: readonly number[];
  /** The token that ended the text, where one did, and its ln P. */
  readonly end?: { readonly id: number; readonly logProb: number };
  readonly finish: 'stop' | 'length';
}

export interface GenerateOptions extends Sampling {
  /** Ids that end a text. @default the tokenizer's end, and what ends a turn in a chat */
  readonly endIds?: readonly number[];
  /** LoRA's factors, for a generator that was made with `lora`. */
  readonly adapter?: Parameters;
  readonly signal?: AbortSignal | undefined;
  /** Told how many texts are done. */
  readonly onProgress?: ((done: number) => void) | undefined;
  /** Told the text of request `at` as far as no later token can change it; the pieces joined are its text. */
  readonly onText?: ((at: number, piece: string) => void) | undefined;
  /** Asked after each token: false ends the text of request `at` as it is. */
  readonly isWanted?: ((at: number) => boolean) | undefined;
}

export interface GeneratorOptions extends DecoderOptions {
  /** Most bytes of keys and values at a time. @default 1 GB */
  readonly cacheBytes?: number;
  /** Most sequences side by side. @default 64 */
  readonly mostRows?: number;
}

export interface Generator {
  readonly model: LanguageModel;
  /**
   * Texts in the order of the requests.
   * @throws DataError when a prompt and its text do not fit into the model's window
   */
  run(requests: readonly GenerateRequest[], options?: GenerateOptions): Promise<Generated[]>;
  unload(): Promise<void>;
}

const MOST_SAMPLERS = 16;

/** Tokens that end a turn in the chats of known models, beside the tokenizer's own end. */
const ENDS = [
  '<|im_end|>',
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end|>',
  '<end_of_turn>',
  '<|endoftext|>',
];

/** Ids that end a text. */
export function endIdsOf({ tokenizer }: LanguageModel): number[] {
  const named = ENDS.map((token) => tokenizer.idOf(token));
  return [...new Set([tokenizer.special.eos, ...named])].filter((id) => id !== undefined);
}

/** @throws ConfigError for a masked LM, which does not write from left to right */
export async function loadGenerator(
  model: LanguageModel,
  { cacheBytes = 1e9, mostRows = 64, ...given }: GeneratorOptions = {},
): Promise<Generator> {
  if (model.config.kind === 'masked') {
    throw new ConfigError(`${model.name} is a masked LM and writes no texts, name a causal one`);
  }
  const { lora, precision = 'float32' } = given;
  // Repacked, float32 would stand in memory twice; blocks are computed with in that form alone.
  const options = { prepack: precision !== 'float32', ...given };
  const shapes = lora ? loraShapes(model.architecture, model.config, lora) : {};
  let factors: Record<string, Kept> = {};
  const prefiller = await loadPrefiller(model, options, () => factors);
  const decoder = await loadDecoder(model, options, () => factors);
  const samplers = new Map<string, Sampler>();

  async function samplerFor(sampling: Sampling): Promise<Sampler> {
    const { temperature, topK, topP, minP } = sampling;
    const key = JSON.stringify({ temperature, topK, topP, minP });
    const sampler = samplers.get(key) ?? (await loadSampler(model, sampling));
    // Who is served may ask for any temperature: the program that was used longest ago goes.
    samplers.delete(key);
    samplers.set(key, sampler);
    const [oldest] = samplers;
    if (samplers.size > MOST_SAMPLERS && samplers.delete(oldest![0])) await oldest![1].unload();
    return sampler;
  }

  return {
    model,
    async run(
      requests,
      { adapter, endIds = endIdsOf(model), signal, onProgress, onText, isWanted, ...sampling } = {},
    ) {
      checkLengths(
        model,
        requests.map(({ prompt, maxTokens }) => prompt.length && prompt.length + maxTokens),
      );
      const sampler = await samplerFor(sampling);
      factors = await store(model, shapes, adapter);
      const out: Generated[] = [];
      let done = 0;
      try {
        for (const batch of batchesOf(requests, {
          rows: mostRows,
          tokens: cacheBytes / cacheBytesPerToken(model),
        })) {
          const listenerOf = (at: number): Listener => ({
            ...(onText ? { tell: (piece) => onText(at, piece) } : {}),
            ...(isWanted ? { isWanted: () => isWanted(at) } : {}),
          });
          const texts = batch.map((group) =>
            group.map((i) => new Writing(requests[i]!, model, listenerOf(i))),
          );
          await writeBatch(texts, { prefiller, decoder, sampler, ends: new Set(endIds), signal });
          batch.flat().forEach((i, at) => {
            out[i] = texts.flat()[at]!.result();
          });
          done += batch.flat().length;
          onProgress?.(done);
        }
      } finally {
        await model.engine.drop(Object.values(factors));
      }
      return out;
    },
    async unload() {
      await prefiller.unload();
      await decoder.unload();
      for (const sampler of samplers.values()) await sampler.unload();
    },
  };
}

/** An adapter's factors in the engine. @throws ConfigError when some are missing */
async function store(
  model: LanguageModel,
  shapes: Readonly<Record<string, readonly number[]>>,
  adapter: Parameters = {},
): Promise<Record<string, Kept>> {
  const out: Record<string, Kept> = {};
  for (const [name, shape] of Object.entries(shapes)) {
    const values = adapter[name];
    if (!values) throw new ConfigError(`${model.name}: the adapter has no factor ${name}`);
    out[name] = await model.engine.store(float32(values, shape));
  }
  return out;
}

/**
 * Requests as batches of groups: those of one prompt together, prompts of like length together, as
 * many samples in each group of a batch.
 */
export function batchesOf(
  requests: readonly Pick<GenerateRequest, 'prompt' | 'maxTokens'>[],
  most: { rows: number; tokens: number },
): number[][][] {
  const byPrompt = new Map<string, number[]>();
  requests.forEach(({ prompt }, i) => {
    const key = prompt.join();
    byPrompt.set(key, [...(byPrompt.get(key) ?? []), i]);
  });
  const lengthOf = (group: number[]) => requests[group[0]!]!.prompt.length;
  const tailOf = (group: number[]) => Math.max(...group.map((i) => requests[i]!.maxTokens));
  const groups = [...byPrompt.values()]
    .flatMap((group) => inParts(group, most.rows))
    .sort((a, b) => b.length - a.length || lengthOf(b) - lengthOf(a) || tailOf(b) - tailOf(a));
  const batches: number[][][] = [];
  let room = { rows: 0, tokens: 0, each: 0 };
  for (const group of groups) {
    // A step holds the tails twice: as they were and one longer.
    const tokens = lengthOf(group) + 2 * group.length * tailOf(group);
    const fits = group.length === room.each && group.length <= room.rows && tokens <= room.tokens;
    if (!fits) {
      batches.push([]);
      room = { ...most, each: group.length };
    }
    batches.at(-1)!.push(group);
    room = { ...room, rows: room.rows - group.length, tokens: room.tokens - tokens };
  }
  return batches;
}

function inParts(group: readonly number[], most: number): number[][] {
  const out: number[][] = [];
  for (let i = 0; i < group.length; i += most) out.push(group.slice(i, i + most));
  return out;
}

/** Who reads a text while it is written. */
interface Listener {
  tell?(piece: string): void;
  isWanted?(): boolean;
}

/** One text as it is written. */
class Writing {
  readonly request: GenerateRequest;
  private readonly model: LanguageModel;
  private readonly listener: Listener;
  private readonly rng: Rng;
  private readonly ids: number[] = [];
  private readonly logProbs: number[] = [];
  private end: { readonly id: number; readonly logProb: number } | undefined;
  private text: string | undefined;
  /** Characters of the text that its listener has. */
  private told = 0;
  /** Tokens whose text surely holds a stop text that has just been written. */
  private readonly lookBack: number;
  finish: 'stop' | 'length' | undefined;

  constructor(request: GenerateRequest, model: LanguageModel, listener: Listener) {
    this.request = request;
    this.model = model;
    this.listener = listener;
    this.rng = createRng(request.seed);
    this.lookBack = 4 + Math.max(0, ...(request.stop ?? []).map((text) => 4 * text.length));
  }

  /** The token that is read next. */
  get last(): number {
    return this.ids.at(-1) ?? this.request.prompt.at(-1)!;
  }

  uniform(): number {
    return this.rng.next();
  }

  take(drawn: { id: number; logProb: number }, ends: ReadonlySet<number>): void {
    const { listener, request } = this;
    if (ends.has(drawn.id)) {
      this.end = drawn;
      this.finish = 'stop';
    } else {
      this.ids.push(drawn.id);
      this.logProbs.push(drawn.logProb);
      if (request.stop?.length) this.lookForStop(request.stop);
      const isLast = this.ids.length >= request.maxTokens || listener.isWanted?.() === false;
      if (isLast) this.finish ??= 'length';
    }
    if (listener.tell) this.tell(listener.tell);
  }

  private tell(tell: (piece: string) => void): void {
    const { ids, model, finish, request, told } = this;
    const text = finish ? this.result().text : settledText(ids, model.tokenizer, request.stop);
    if (text.length <= told) return;
    this.told = text.length;
    tell(text.slice(told));
  }

  private lookForStop(stop: readonly string[]): void {
    const { tokenizer } = this.model;
    const recent = tokenizer.decode(this.ids.slice(-this.lookBack));
    if (!stop.some((text) => recent.includes(text))) return;
    const whole = tokenizer.decode(this.ids);
    const places = stop.map((text) => whole.indexOf(text)).filter((at) => at >= 0);
    if (places.length === 0) return;
    this.text = whole.slice(0, Math.min(...places));
    this.finish = 'stop';
  }

  result(): Generated {
    const { ids, logProbs, end, finish = 'length' } = this;
    const text = this.text ?? this.model.tokenizer.decode(ids);
    return { ids, text, logProbs, finish, ...(end ? { end } : {}) };
  }
}

/**
 * The beginning of a text that stays as it is whatever is written next: whole characters that no stop
 * text has begun in.
 */
export function settledText(
  ids: readonly number[],
  tokenizer: Tokenizer,
  stop: readonly string[] = [],
): string {
  let text = tokenizer.decode(ids);
  // A run of byte tokens is read as a whole: a byte that fits nowhere shows how much of it may change.
  const wrongByte = tokenizer.idOf('<0xFF>');
  if (wrongByte !== undefined) text = common(text, tokenizer.decode([...ids, wrongByte]));
  text = text.replace(/\ufffd+$/, '');
  const held = stop.map((one) => begun(text, one));
  return text.slice(0, text.length - Math.max(0, ...held));
}

/** How much of the end of `text` may be the beginning of `stop`. */
function begun(text: string, stop: string): number {
  for (let length = Math.min(stop.length - 1, text.length); length > 0; length--) {
    if (text.endsWith(stop.slice(0, length))) return length;
  }
  return 0;
}

/** What both begin with. */
function common(a: string, b: string): string {
  let length = 0;
  while (length < a.length && a[length] === b[length]) length++;
  return a.slice(0, length);
}

interface Tools {
  readonly prefiller: Prefiller;
  readonly decoder: Decoder;
  readonly sampler: Sampler;
  readonly ends: ReadonlySet<number>;
  readonly signal: AbortSignal | undefined;
}

/** Writes the texts of groups [G][N], one prompt a group, to their ends. */
async function writeBatch(groups: Writing[][], tools: Tools): Promise<void> {
  const { prefiller, decoder, sampler, ends, signal } = tools;
  const beginnings = groups.map(([first]) => first!.request.prompt.slice(0, -1));
  const prompts = await prefiller.run(beginnings);
  let state: Decoding = { prompts, each: groups[0]!.length, written: 0, tails: {} };
  let rows = groups;
  try {
    for (;;) {
      signal?.throwIfAborted();
      const step = await decoder.step(
        state,
        rows.flat().map(({ last }) => last),
      );
      state = step.state;
      // Texts that have ended are read on until they are taken out; nothing is drawn for them.
      const uniform = rows.flat().map((text) => (text.finish ? 0 : text.uniform()));
      const drawn = await sampler
        .draw(step.logits, uniform)
        .finally(() => decoder.free(step.logits));
      rows.flat().forEach((text, r) => {
        if (!text.finish) text.take(drawn[r]!, ends);
      });
      const live = rows.flat().filter(({ finish }) => !finish).length;
      if (live === 0) return;
      const kept = remaining(rows);
      if (kept.flat().length > 0.75 * rows.flat().length) continue;
      state = await decoder.select(state, kept);
      const before = rows.flat();
      rows = kept.map((group) => group.map((r) => before[r]!));
    }
  } finally {
    await decoder.drop(state);
  }
}

/**
 * Rows [G'][N'] to go on with, as indices into the rows [G][N]: groups that have a text to write, all
 * of one size, filled up with texts that have ended.
 */
function remaining(rows: readonly (readonly Writing[])[]): number[][] {
  const N = rows[0]!.length;
  const indexed = rows.map((group, g) => group.map((text, n) => ({ text, row: g * N + n })));
  const open = indexed.filter((group) => group.some(({ text }) => !text.finish));
  const openIn = (group: (typeof indexed)[number]) => group.filter(({ text }) => !text.finish);
  const size = Math.max(...open.map((group) => openIn(group).length));
  return open.map((group) => {
    const ended = group.filter(({ text }) => text.finish);
    return [...openIn(group), ...ended].slice(0, size).map(({ row }) => row);
  });
}
