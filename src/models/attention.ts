/**
 * The ways in which rows attend to each other.
 *
 * - `sequences`: rows are [B, T], each sequence by itself, causal or both ways.
 * - `branches`: rows are [G, N, T]. Each of G groups has a cached prefix of keys and values, and N
 *   branches of T tokens that continue it. The queries of all branches of a group are folded into
 *   the rows of one product against that group's keys: nothing is copied per branch. It has a
 *   gradient by parts, for training.
 * - `tree`: rows are [G, M], M nodes of a tree of tokens over each of G cached prefixes. It is one
 *   kernel, and what branches share stands in it once.
 *
 * Padding stands on the right. Under a causal mask no real token sees it; elsewhere lengths mask it.
 */

import { product as dimProduct } from '../tensor/dims.ts';
import {
  add,
  attention,
  cast,
  concat,
  constant,
  type Dim,
  greaterOrEqual,
  matmul,
  mul,
  range,
  reshape,
  softmax,
  split,
  sub,
  type Tensor,
  transpose,
} from '../tensor/index.ts';
import type { Attend, ModelConfig } from './architecture.ts';

/** Keys and values of one layer, [B, KV, T, d] each. */
export interface LayerCache {
  readonly k: Tensor;
  readonly v: Tensor;
}

/** What is added to the score of a pair that must not see each other. */
export const MASKED = -1e9;

/** Rows [B·T] as B sequences of T. `lengths` [B] masks padding where attention goes both ways. */
export function sequences(
  config: ModelConfig,
  [B, T]: readonly [Dim, Dim],
  options: {
    causal: boolean;
    lengths?: Tensor;
    onCache?: (layer: number, cache: LayerCache) => void;
  },
): Attend {
  const { kvHeads: KV, heads, headWidth: d, attentionScale } = config;
  const g = heads / KV;
  const at = cast(range(T), 'float32'); // [T]
  const masks = new Map<number | undefined, Tensor>();
  const maskFor = (window: number | undefined) => {
    let mask = masks.get(window);
    if (!mask) {
      mask = options.causal
        ? causalMask(reshape(at, [T, 1]), reshape(at, [1, T]), window) // [T, T]
        : penalty(within(options.lengths!, at, B, T)); // [B, 1, 1, 1, T]
      masks.set(window, mask);
    }
    return mask;
  };
  return (q, k, v, { layer, window }) => {
    const queries = transpose(reshape(q, [B, T, KV, g, d]), [0, 2, 3, 1, 4]); // [B, KV, g, T, d]
    const keys = transpose(reshape(k, [B, T, KV, d]), [0, 2, 1, 3]); // [B, KV, T, d]
    const values = transpose(reshape(v, [B, T, KV, d]), [0, 2, 1, 3]);
    options.onCache?.(layer, { k: keys, v: values });
    // Heads of a group share keys: folded into rows [g·T].
    const folded = reshape(queries, [B, KV, product(g, T), d]);
    const scores = matmul(folded, keys, { transB: true, alpha: attentionScale }); // [B, KV, g·T, T]
    const weights = softmax(add(reshape(scores, [B, KV, g, T, T]), maskFor(window)));
    const mixed = matmul(reshape(weights, [B, KV, product(g, T), T]), values); // [B, KV, g·T, d]
    const rows = transpose(reshape(mixed, [B, KV, g, T, d]), [0, 3, 1, 2, 4]); // [B, T, KV, g, d]
    return reshape(rows, [product(B, T), heads * d]);
  };
}

/** Rows [G·N·T] as N branches of T tokens over each of G cached prefixes of at most L tokens. */
export function branches(
  config: ModelConfig,
  { G, N, T, L }: { G: Dim; N: Dim; T: Dim; L: Dim },
  cacheOf: (layer: number) => LayerCache,
  prefixLengths: Tensor,
): Attend {
  const { kvHeads: KV, heads, headWidth: d, attentionScale } = config;
  const g = heads / KV;
  const own = cast(range(T), 'float32'); // [T]
  const past = cast(range(L), 'float32'); // [L]
  const masks = new Map<number | undefined, { prefix: Tensor; own: Tensor }>();
  const masksFor = (window: number | undefined) => {
    let pair = masks.get(window);
    if (!pair) {
      pair = { prefix: prefixMask(window), own: ownMask(window) };
      masks.set(window, pair);
    }
    return pair;
  };

  /** [G, 1, 1, L], or [G, 1, 1, T, 1, L] when a window makes it depend on the query. */
  function prefixMask(window: number | undefined): Tensor {
    const lengths = reshape(cast(prefixLengths, 'float32'), [G, 1, 1, 1]);
    const real = greaterOrEqual(sub(lengths, constant(1)), past); // [G, 1, 1, L]
    if (window === undefined) return penalty(real);
    const query = add(reshape(lengths, [G, 1, 1, 1, 1, 1]), reshape(own, [1, 1, 1, T, 1, 1]));
    const near = greaterOrEqual(add(past, constant(window - 1)), query); // [G, 1, 1, T, 1, L]
    return add(penalty(near), reshape(penalty(real), [G, 1, 1, 1, 1, L]));
  }

  /** [T·g, T]: own tokens up to the query, the g heads of a group alike. */
  function ownMask(window: number | undefined): Tensor {
    const mask = causalMask(reshape(own, [T, 1, 1]), reshape(own, [1, 1, T]), window); // [T, 1, T]
    const ones = reshape(constant(new Float32Array(g)), [1, g, 1]);
    return reshape(add(mask, ones), [product(T, g), T]);
  }

  return (q, k, v, { layer, window }) => {
    const cache = cacheOf(layer); // [G, KV, L, d]
    const rows = product(product(N, T), g);
    const heads6 = reshape(q, [G, product(N, T), KV, g, d]);
    const queries = transpose(heads6, [0, 2, 1, 3, 4]); // [G, KV, N·T, g, d]
    const keys = transpose(reshape(k, [G, N, T, KV, d]), [0, 3, 1, 2, 4]); // [G, KV, N, T, d]
    const values = transpose(reshape(v, [G, N, T, KV, d]), [0, 3, 1, 2, 4]);
    const masks = masksFor(window);
    const options = { transB: true, alpha: attentionScale };

    let prefix = matmul(reshape(queries, [G, KV, rows, d]), cache.k, options); // [G, KV, N·T·g, L]
    prefix =
      window === undefined
        ? add(prefix, masks.prefix)
        : reshape(add(reshape(prefix, [G, KV, N, T, g, L]), masks.prefix), [G, KV, rows, L]);
    const perBranch = reshape(queries, [G, KV, N, product(T, g), d]);
    const ownScores = add(matmul(perBranch, keys, options), masks.own); // [G, KV, N, T·g, T]
    const all = concat([prefix, reshape(ownScores, [G, KV, rows, T])], -1); // [G, KV, N·T·g, L+T]
    const [toPrefix, toOwn] = split(softmax(all), [L, T], -1);
    const fromPrefix = matmul(toPrefix!, cache.v); // [G, KV, N·T·g, d]
    const fromOwn = matmul(reshape(toOwn!, [G, KV, N, product(T, g), T]), values);
    const mixed = add(fromPrefix, reshape(fromOwn, [G, KV, rows, d]));
    const back = transpose(reshape(mixed, [G, KV, product(N, T), g, d]), [0, 2, 1, 3, 4]);
    return reshape(back, [product(G, product(N, T)), heads * d]);
  };
}

/**
 * Rows [G·M] as the nodes of one tree over each of G cached prefixes of at most L tokens. `maskOf`
 * gives what nodes see, [G, 1, M, L+M], for a window or none.
 */
export function tree(
  { kvHeads, heads, headWidth: d, attentionScale: scale }: ModelConfig,
  [G, M]: readonly [Dim, Dim],
  cacheOf: (layer: number) => LayerCache,
  maskOf: (window: number | undefined) => Tensor,
): Attend {
  const grouped = (x: Tensor, n: number) => reshape(x, [G, M, n * d]);
  return (q, k, v, { layer, window }) => {
    const { k: pastK, v: pastV } = cacheOf(layer); // [G, KV, L, d]
    const own = { q: grouped(q, heads), k: grouped(k, kvHeads), v: grouped(v, kvHeads) };
    const mixed = attention(
      { ...own, mask: maskOf(window), pastK, pastV },
      { heads, kvHeads, scale },
    );
    return reshape(mixed, [product(G, M), heads * d]);
  };
}

/** 0 where the query may look, a large negative number elsewhere. */
function causalMask(query: Tensor, key: Tensor, window: number | undefined): Tensor {
  const mask = penalty(greaterOrEqual(query, key));
  if (window === undefined) return mask;
  return add(mask, penalty(greaterOrEqual(add(key, constant(window - 1)), query)));
}

function within(lengths: Tensor, at: Tensor, B: Dim, T: Dim): Tensor {
  const last = reshape(sub(cast(lengths, 'float32'), constant(1)), [B, 1, 1, 1, 1]);
  return greaterOrEqual(last, reshape(at, [1, 1, 1, 1, T]));
}

function penalty(allowed: Tensor): Tensor {
  return mul(sub(cast(allowed, 'float32'), constant(1)), constant(-MASKED));
}

function product(a: Dim, b: Dim): Dim {
  return dimProduct([a, b]);
}
