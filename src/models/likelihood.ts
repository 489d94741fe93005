/**
 * Log-probabilities of texts: what a causal LM gives to each token of a text, after a beginning.
 *
 *   ln P(x_t | beginning, x_1 … x_{t−1}),   t = 1 … T, natural logarithm
 *
 * Beginnings are kept as keys and values, so many texts after one beginning cost their own tokens
 * alone. The beginning's last token is read again as the first of every text: its row gives ln P(x_1).
 */
import { DataError } from '../errors.ts';
import {
  floats,
  gather,
  input,
  int64,
  logSoftmax,
  type Tensor,
  takeAlong,
} from '../tensor/index.ts';
import { embed } from './architecture.ts';
import { branches } from './attention.ts';
import type { LanguageModel } from './language-model.ts';
import { cacheInputs, loadPrefiller, type PrefixCache } from './programs.ts';

/** Token ids; of a beginning at least one. */
type Ids = readonly number[];

/** Beginnings that were read, each without its last token. */
export interface Beginnings {
  readonly cache: PrefixCache;
  /** Last token of each. */
  readonly last: readonly number[];
}

export interface Likelihood {
  /** Reads beginnings and keeps them in the engine until they are dropped. */
  begin(beginnings: readonly Ids[]): Promise<Beginnings>;
  /**
   * Log-probabilities of the tokens of every text (at least one each) after every beginning, [G][N]
   * vectors.
   * @throws DataError when beginning and text are longer than the model can read
   */
  run(beginnings: Beginnings, texts: readonly Ids[]): Promise<Float32Array[][]>;
  drop(beginnings: Beginnings): Promise<void>;
  unload(): Promise<void>;
}

/** Most logits of one pass: 2^24 floats are 67 MB, and as much again for their log-softmax. */
const LOGITS = 2 ** 24;

/** The program, in float32. */
export async function loadLikelihood(model: LanguageModel): Promise<Likelihood> {
  const { config, architecture } = model;
  const w = await model.weights('float32');
  const ids = input('ids', ['G*N*T'], 'int64');
  const shape = input('shape', ['N', 'T'], 'int64'); // gives N and T their values
  const positions = input('positions', ['G*N*T'], 'int64');
  const lengths = input('lengths', ['G'], 'int64');
  const rows = input('rows', ['S'], 'int64'); // flat index of each row that predicts a token
  const targets = input('targets', ['S', 1], 'int64'); // the tokens
  const attend = branches(config, { G: 'G', N: 'N', T: 'T', L: 'L' }, cacheInputs(config), lengths);
  const x = embed(architecture, w, { ids, positions });
  const select = (t: Tensor) => gather(t, rows);
  const logits = architecture.head(w, architecture.forward(w, x, positions, attend, { select })); // [S, V]
  // Not a logsumexp: the engine's loses digits over a whole vocabulary.
  const out = takeAlong(logSoftmax(logits), targets); // [S, 1]
  const options = { prepack: false };
  const executable = await model.load({ out, dims: shape }, options);
  const prefiller = await loadPrefiller(model, options);

  async function pass({ cache, last }: Beginnings, texts: readonly Ids[]): Promise<Float32Array> {
    const [G, N] = [last.length, texts.length];
    const T = Math.max(...texts.map((text) => text.length));
    const at = { ids: new Float64Array(G * N * T), positions: new Float64Array(G * N * T) };
    const wanted: number[] = [];
    for (let r = 0; r < G * N; r++) {
      const [g, text] = [Math.floor(r / N), texts[r % N]!];
      for (let t = 0; t < T; t++) {
        at.ids[r * T + t] = t === 0 ? last[g]! : (text[t - 1] ?? 0);
        at.positions[r * T + t] = cache.lengths[g]! + t;
        if (t < text.length) wanted.push(r * T + t);
      }
    }
    const tokens = last.flatMap(() => texts.flat());
    const result = await executable.run(
      {
        ids: int64(at.ids),
        positions: int64(at.positions),
        shape: int64(new Float64Array(N * T), [N, T]),
        lengths: int64(cache.lengths),
        rows: int64(wanted),
        targets: int64(tokens, [tokens.length, 1]),
        ...cache.tensors,
      },
      { outputs: ['out'] },
    );
    return floats(result.out);
  }

  return {
    async begin(beginnings) {
      const cache = await prefiller.run(beginnings.map((ids) => ids.slice(0, -1)));
      return { cache, last: beginnings.map((ids) => ids.at(-1)!) };
    },
    async run(beginnings, texts) {
      checkLengths(model, beginnings, texts);
      const G = beginnings.last.length;
      const out: Float32Array[][] = Array.from({ length: G }, () => []);
      for (const part of parts(texts, LOGITS / (G * config.vocabulary))) {
        const values = await pass(beginnings, part);
        let from = 0;
        for (let g = 0; g < G; g++) {
          for (const { length } of part) {
            out[g]!.push(values.slice(from, from + length));
            from += length;
          }
        }
      }
      return out;
    },
    drop: ({ cache }) => model.engine.drop(Object.values(cache.tensors)),
    async unload() {
      await executable.unload();
      await prefiller.unload();
    },
  };
}

/** Texts in their order, as many together as have at most `tokens` tokens. */
function parts(texts: readonly Ids[], tokens: number): Ids[][] {
  const out: Ids[][] = [];
  let room = 0;
  for (const text of texts) {
    if (text.length > room) {
      out.push([]);
      room = Math.max(tokens, text.length);
    }
    out.at(-1)!.push(text);
    room -= text.length;
  }
  return out;
}

function checkLengths(model: LanguageModel, { cache }: Beginnings, texts: readonly Ids[]): void {
  const longest = Math.max(...cache.lengths) + Math.max(...texts.map(({ length }) => length));
  const limit = model.config.contextLength;
  if (longest > limit) {
    throw new DataError(
      `${model.name}: a text and what stands before it have ${longest} tokens, the context window holds ${limit}, shorten the text`,
    );
  }
}
