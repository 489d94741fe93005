/**
 * What an architecture is to the rest: a configuration, the weights it needs (as `WeightSpec`s over
 * the names of its checkpoints), and four small graphs: words, place, forward, head. It works on rows
 * [R, D] of tokens and calls `attend` for the one thing that depends on how rows belong together,
 * so that plain, cached and branching attention serve every architecture.
 */
import type { Tensor } from '../tensor/index.ts';

export interface ModelConfig {
  readonly architecture: string;
  readonly kind: 'causal' | 'masked';
  readonly layers: number;
  /** D, width of the residual stream. */
  readonly width: number;
  /** Width of the feed-forward layer. */
  readonly innerWidth: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headWidth: number;
  readonly vocabulary: number;
  /** Longest sequence in tokens. */
  readonly contextLength: number;
  readonly epsilon: number;
  readonly ropeTheta: number;
  /** Rotary base of layers with a sliding window (Gemma 3). */
  readonly localRopeTheta?: number;
  /** Divides positions (linear RoPE scaling) in layers without a window. */
  readonly ropeScale?: number;
  /** Llama 3's frequency-dependent RoPE scaling. */
  readonly llama3Rope?: {
    readonly factor: number;
    readonly lowFactor: number;
    readonly highFactor: number;
    readonly originalLength: number;
  };
  /** Tokens that a windowed layer looks back at, itself included. */
  readonly window?: number;
  /** True for each layer that has the window. */
  readonly windowed?: readonly boolean[];
  /** Multiplies q·k. */
  readonly attentionScale: number;
  readonly activation: 'silu' | 'gelu' | 'gelu-tanh' | 'relu';
  /** Biases of q, k and v. */
  readonly hasQkvBias: boolean;
  /** RMS norm of each head's q and k (Qwen 3, Gemma 3). */
  readonly hasQkNorm: boolean;
  /** Gemma: norms also after attention and feed-forward, gains stored minus one. */
  readonly isGemma: boolean;
  readonly hasTiedHead: boolean;
  /** Added to positions (RoBERTa starts at padding index + 1). */
  readonly positionOffset: number;
}

export type WeightReader = (name: string) => Promise<Float32Array<ArrayBuffer>>;

/** One tensor of the prepared file. */
export interface WeightSpec {
  readonly name: string;
  readonly shape: readonly number[];
  /** Matrices [out, in] of linear layers, which int8 may replace. */
  readonly isLinear?: boolean;
  /**
   * Gain and shift of the norm whose rows this matrix, and those of the same norm alone, read: int8
   * folds its smoothing into them.
   */
  readonly after?: readonly string[];
  load(read: WeightReader): Promise<Float32Array<ArrayBuffer>>;
}

export interface AttendOptions {
  readonly layer: number;
  /** Tokens to look back at, if not all. */
  readonly window?: number | undefined;
}

/** Attention over rows: q [R, H·d], k and v [R, KV·d] to [R, H·d]. */
export type Attend = (q: Tensor, k: Tensor, v: Tensor, options: AttendOptions) => Tensor;

export interface ForwardOptions {
  /** In the last layer it may reduce the rows to those wanted. */
  readonly select?: (rows: Tensor) => Tensor;
  /** Given what a layer gives and what it read, gives what the next one reads. */
  readonly around?: (y: Tensor, x: Tensor) => Tensor;
}

/** Weights as graphs see them. */
export interface Weights {
  readonly config: ModelConfig;
  /** A tensor of the prepared file. */
  get(name: string): Tensor;
  /** x [R, in] times the matrix [out, in] of that name, and nothing else. */
  product(x: Tensor, name: string): Tensor;
  /** The linear layer of that name: x [R, in] times its matrix [out, in], plus its bias if it has one. */
  linear(x: Tensor, name: string): Tensor;
}

/** A linear module of the checkpoint, as a slice of rows of one of our matrices. */
export interface LinearPart {
  readonly role: 'q' | 'k' | 'v' | 'qkv' | 'o' | 'gate' | 'up' | 'down';
  /** Its path in the checkpoint's own model: "model.layers.0.self_attn.q_proj". */
  readonly module: string;
  readonly rows: number;
}

/** One of our matrices [out, inner] and the modules that it joins. */
export interface JoinedLinear {
  readonly name: string;
  readonly inner: number;
  readonly parts: readonly LinearPart[];
}

export interface Architecture {
  readonly name: string;
  /** Prepared tensors; `hasTensor` tells what the checkpoint holds. */
  weights(config: ModelConfig, hasTensor: (name: string) => boolean): readonly WeightSpec[];
  /** The linear layers of one transformer layer. */
  linears(config: ModelConfig, layer: number): readonly JoinedLinear[];
  /** Word embeddings [R, D] of ids [R]: where virtual tokens stand beside words. */
  words(w: Weights, ids: Tensor): Tensor;
  /** Word embeddings [R, D] at positions [R] to what the first layer reads, [R, D]. */
  place(w: Weights, words: Tensor, positions: Tensor): Tensor;
  /** Final hidden states [R, D]. */
  forward(
    w: Weights,
    x: Tensor,
    positions: Tensor,
    attend: Attend,
    options?: ForwardOptions,
  ): Tensor;
  /** Hidden states [R, D] as the output embeddings are multiplied with them. */
  readout(w: Weights, hidden: Tensor): Tensor;
  /** Output embeddings [V, D]: a word's logit is its row times the readout. */
  outputs(w: Weights): Tensor;
  /** Logits [R, V], or [R, C] for the vocabulary rows `ids` [C] alone. */
  head(w: Weights, hidden: Tensor, ids?: Tensor): Tensor;
}

/** What the first layer reads of ids [R] at positions [R]. */
export function embed(
  { words, place }: Architecture,
  w: Weights,
  { ids, positions }: { readonly ids: Tensor; readonly positions: Tensor },
): Tensor {
  return place(w, words(w, ids), positions);
}
