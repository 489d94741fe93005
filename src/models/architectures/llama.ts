/**
 * The Llama family: Llama, SmolLM2, Mistral, Qwen 2 (biases), Qwen 3 (norms of q and k), Gemma 3
 * (norms around both halves, gains stored minus one, scaled embeddings, sliding windows).
 * Left out: mixtures of experts, partial rotation, soft-capped logits.
 */
import {
  add,
  constant,
  gather,
  gelu,
  matmul,
  mul,
  relu,
  reshape,
  rmsNorm,
  rotary,
  silu,
  split,
  type Tensor,
} from '../../tensor/index.ts';
import type {
  Architecture,
  ModelConfig,
  WeightReader,
  WeightSpec,
  Weights,
} from '../architecture.ts';

export const llama: Architecture = {
  name: 'llama',

  weights(config, hasTensor) {
    const { layers, width, innerWidth, heads, kvHeads, headWidth, vocabulary } = config;
    const q = heads * headWidth;
    const kv = kvHeads * headWidth;
    const specs: WeightSpec[] = [
      plain('embedding', 'model.embed_tokens.weight', [vocabulary, width]),
      gain(config, 'norm', 'model.norm.weight', width),
      ...rotaryTables(config, hasTensor),
    ];
    if (!config.hasTiedHead) specs.push(plain('head', 'lm_head.weight', [vocabulary, width]));
    for (let i = 0; i < layers; i++) {
      const from = `model.layers.${i}`;
      const attention = `${from}.self_attn`;
      const norms = config.isGemma
        ? {
            'norm.1': 'input_layernorm',
            'norm.1.after': 'post_attention_layernorm',
            'norm.2': 'pre_feedforward_layernorm',
            'norm.2.after': 'post_feedforward_layernorm',
          }
        : { 'norm.1': 'input_layernorm', 'norm.2': 'post_attention_layernorm' };
      for (const [name, stored] of Object.entries(norms)) {
        specs.push(gain(config, `${i}.${name}`, `${from}.${stored}.weight`, width));
      }
      specs.push(
        joined(
          `${i}.qkv`,
          ['q', 'k', 'v'].map((p) => `${attention}.${p}_proj.weight`),
          [q + 2 * kv, width],
        ),
        linear(`${i}.out`, `${attention}.o_proj.weight`, [width, q]),
        joined(
          `${i}.gate_up`,
          ['gate', 'up'].map((p) => `${from}.mlp.${p}_proj.weight`),
          [2 * innerWidth, width],
        ),
        linear(`${i}.down`, `${from}.mlp.down_proj.weight`, [width, innerWidth]),
      );
      const biases = {
        qkv: ['q', 'k', 'v'].map((p) => `${attention}.${p}_proj.bias`),
        out: [`${attention}.o_proj.bias`],
        gate_up: ['gate', 'up'].map((p) => `${from}.mlp.${p}_proj.bias`),
        down: [`${from}.mlp.down_proj.bias`],
      };
      const lengths = { qkv: q + 2 * kv, out: width, gate_up: 2 * innerWidth, down: width };
      for (const [name, stored] of Object.entries(biases)) {
        if (!hasTensor(stored[0]!)) continue;
        const shape = [lengths[name as keyof typeof lengths]];
        specs.push({ name: `${i}.${name}.bias`, shape, load: join(stored) });
      }
      if (config.hasQkNorm) {
        specs.push(gain(config, `${i}.q_norm`, `${attention}.q_norm.weight`, headWidth));
        specs.push(gain(config, `${i}.k_norm`, `${attention}.k_norm.weight`, headWidth));
      }
    }
    return specs;
  },

  embed(w, ids) {
    const x = gather(w.get('embedding'), ids); // [R, D]
    return w.config.isGemma ? mul(x, constant(Math.fround(Math.sqrt(w.config.width)))) : x;
  },

  forward(w, x, positions, attend, select) {
    const { layers, heads, kvHeads, headWidth, epsilon, isGemma } = w.config;
    const norm = (y: Tensor, name: string) => rmsNorm(y, w.get(name), epsilon);
    for (let i = 0; i < layers; i++) {
      const local = w.config.windowed?.[i] === true;
      const { q, k, v } = project(w, norm(x, `${i}.norm.1`), positions, i, local);
      let mixed = attend(q, k, v, { layer: i, window: local ? w.config.window : undefined });
      if (i === layers - 1 && select) {
        mixed = select(mixed);
        x = select(x);
      }
      let h = w.linear(mixed, `${i}.out`);
      if (isGemma) h = norm(h, `${i}.norm.1.after`);
      x = add(x, h);
      h = feedForward(w, norm(x, `${i}.norm.2`), i);
      if (isGemma) h = norm(h, `${i}.norm.2.after`);
      x = add(x, h);
    }
    return norm(x, 'norm');

    function project(w: Weights, y: Tensor, at: Tensor, i: number, local: boolean) {
      const [qDim, kvDim] = [heads * headWidth, kvHeads * headWidth];
      const qkv = w.linear(y, `${i}.qkv`); // [R, (H + 2·KV)·d]
      const tables = local && w.config.localRopeTheta !== undefined ? 'rope.local' : 'rope';
      const [cos, sin] = [w.get(`${tables}.cos`), w.get(`${tables}.sin`)];
      // Each row is a sequence of one token: the engine refuses sequences longer than the tables.
      const turn = (t: Tensor, n: number) => {
        const rows = reshape(t, [-1, 1, n * headWidth]);
        return reshape(rotary(rows, reshape(at, [-1, 1]), cos, sin, n), [-1, n * headWidth]);
      };
      if (!w.config.hasQkNorm) {
        // q and k lie side by side: one rotation for both.
        const [qk, v] = split(qkv, [qDim + kvDim, kvDim], -1);
        const [q, k] = split(turn(qk!, heads + kvHeads), [qDim, kvDim], -1);
        return { q: q!, k: k!, v: v! };
      }
      const [q, k, v] = split(qkv, [qDim, kvDim, kvDim], -1);
      const normed = (t: Tensor, n: number, name: string) =>
        reshape(norm(reshape(t, [-1, n, headWidth]), name), [-1, n * headWidth]);
      return {
        q: turn(normed(q!, heads, `${i}.q_norm`), heads),
        k: turn(normed(k!, kvHeads, `${i}.k_norm`), kvHeads),
        v: v!,
      };
    }
  },

  head(w, hidden, ids) {
    const table = w.get(w.config.hasTiedHead ? 'embedding' : 'head');
    return matmul(hidden, ids ? gather(table, ids) : table, { transB: true });
  },
};

function feedForward(w: Weights, y: Tensor, i: number): Tensor {
  const inner = w.config.innerWidth;
  const [gate, up] = split(w.linear(y, `${i}.gate_up`), [inner, inner], -1);
  return w.linear(mul(activate(gate!, w.config.activation), up!), `${i}.down`);
}

function activate(x: Tensor, activation: ModelConfig['activation']): Tensor {
  if (activation === 'silu') return silu(x);
  if (activation === 'relu') return relu(x);
  return gelu(x, activation === 'gelu' ? 'none' : 'tanh');
}

function plain(name: string, stored: string, shape: readonly number[]): WeightSpec {
  return { name, shape, load: (read) => read(stored) };
}

function linear(name: string, stored: string, shape: readonly number[]): WeightSpec {
  return { ...plain(name, stored, shape), isLinear: true };
}

/** Matrices one under the other: one product instead of several. */
function joined(name: string, stored: readonly string[], shape: readonly number[]): WeightSpec {
  return { name, shape, isLinear: true, load: join(stored) };
}

function join(stored: readonly string[]) {
  return async (read: WeightReader) => {
    const parts = [];
    for (const name of stored) parts.push(await read(name));
    const out = new Float32Array(parts.reduce((n, part) => n + part.length, 0));
    let at = 0;
    for (const part of parts) {
      out.set(part, at);
      at += part.length;
    }
    return out;
  };
}

/** A gain; Gemma stores it minus one. */
function gain(config: ModelConfig, name: string, stored: string, width: number): WeightSpec {
  return {
    name,
    shape: [width],
    load: async (read) => {
      const values = await read(stored);
      return config.isGemma ? values.map((x) => x + 1) : values;
    },
  };
}

/** GGUF's form of Llama 3's scaling: what to divide each frequency by, [d/2]. */
const FACTORS = 'rope_freqs.weight';

/** cos and sin [positions, d/2] of the rotary embedding, for each base in use. */
function rotaryTables(config: ModelConfig, hasTensor: (name: string) => boolean): WeightSpec[] {
  const { ropeTheta, localRopeTheta } = config;
  const scaled = tables('rope', config, async (read) => {
    const factors = hasTensor(FACTORS) ? await read(FACTORS) : undefined;
    return frequencies(config, ropeTheta).map(
      (f, i) => scaleFrequency(f, config) / (factors?.[i] ?? 1),
    );
  });
  if (localRopeTheta === undefined) return scaled;
  const local = tables('rope.local', config, async () => frequencies(config, localRopeTheta));
  return [...scaled, ...local];
}

function frequencies({ headWidth }: ModelConfig, theta: number): number[] {
  const half = headWidth / 2;
  return Array.from({ length: half }, (_, i) => Math.fround(1 / theta ** (i / half)));
}

function tables(
  name: string,
  config: ModelConfig,
  load: (read: WeightReader) => Promise<readonly number[]>,
): WeightSpec[] {
  const shape = [config.contextLength, config.headWidth / 2];
  const table = (f: (angle: number) => number) => async (read: WeightReader) => {
    const turns = await load(read);
    const angle = (i: number) => Math.floor(i / turns.length) * turns[i % turns.length]!;
    const size = config.contextLength * turns.length;
    return Float32Array.from({ length: size }, (_, i) => f(Math.fround(angle(i))));
  };
  return [
    { name: `${name}.cos`, shape, load: table(Math.cos) },
    { name: `${name}.sin`, shape, load: table(Math.sin) },
  ];
}

/** Linear and Llama 3 scaling. Source: transformers, modeling_rope_utils, `_compute_llama3_parameters`. */
function scaleFrequency(frequency: number, config: ModelConfig): number {
  const scaling = config.llama3Rope;
  if (!scaling) return frequency / (config.ropeScale ?? 1);
  const { factor, lowFactor, highFactor, originalLength } = scaling;
  const wavelength = (2 * Math.PI) / frequency;
  if (wavelength < originalLength / highFactor) return frequency;
  if (wavelength > originalLength / lowFactor) return frequency / factor;
  const smooth = (originalLength / wavelength - lowFactor) / (highFactor - lowFactor);
  return (1 - smooth) * (frequency / factor) + smooth * frequency;
}
