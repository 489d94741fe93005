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
  type Tensor,
} from '../../tensor/index.ts';
import type {
  Architecture,
  LinearPart,
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
      const layer = (name: string, stored: string, shape: [number, number], after?: string) => {
        specs.push(linear(`${i}.${name}`, `${stored}.weight`, shape, after));
        if (!hasTensor(`${stored}.bias`)) return;
        specs.push(plain(`${i}.${name}.bias`, `${stored}.bias`, [shape[0]]));
      };
      layer('q', `${attention}.q_proj`, [q, width], `${i}.norm.1`);
      layer('k', `${attention}.k_proj`, [kv, width], `${i}.norm.1`);
      layer('v', `${attention}.v_proj`, [kv, width], `${i}.norm.1`);
      layer('out', `${attention}.o_proj`, [width, q]);
      layer('gate', `${from}.mlp.gate_proj`, [innerWidth, width], `${i}.norm.2`);
      layer('up', `${from}.mlp.up_proj`, [innerWidth, width], `${i}.norm.2`);
      layer('down', `${from}.mlp.down_proj`, [width, innerWidth]);
      if (config.hasQkNorm) {
        specs.push(gain(config, `${i}.q_norm`, `${attention}.q_norm.weight`, headWidth));
        specs.push(gain(config, `${i}.k_norm`, `${attention}.k_norm.weight`, headWidth));
      }
    }
    return specs;
  },

  linears({ width, innerWidth, heads, kvHeads, headWidth }, layer) {
    const [q, kv] = [heads * headWidth, kvHeads * headWidth];
    const own = (role: LinearPart['role'], half: 'self_attn' | 'mlp', size: [number, number]) => ({
      name: `${layer}.${role === 'o' ? 'out' : role}`,
      inner: size[1],
      parts: [{ role, module: `model.layers.${layer}.${half}.${role}_proj`, rows: size[0] }],
    });
    return [
      own('q', 'self_attn', [q, width]),
      own('k', 'self_attn', [kv, width]),
      own('v', 'self_attn', [kv, width]),
      own('o', 'self_attn', [width, q]),
      own('gate', 'mlp', [innerWidth, width]),
      own('up', 'mlp', [innerWidth, width]),
      own('down', 'mlp', [width, innerWidth]),
    ];
  },

  words(w, ids) {
    const x = gather(w.get('embedding'), ids); // [R, D]
    return w.config.isGemma ? mul(x, constant(Math.fround(Math.sqrt(w.config.width)))) : x;
  },

  // Positions are turned into q and k, layer by layer.
  place: (_w, words) => words,

  forward(w, x, positions, attend, { select, around = (y: Tensor) => y } = {}) {
    const { layers, heads, kvHeads, headWidth, epsilon, isGemma } = w.config;
    const norm = (y: Tensor, name: string) => rmsNorm(y, w.get(name), epsilon);
    // Each row is a sequence of one token: the engine refuses sequences longer than the tables.
    const at = reshape(positions, [-1, 1]);
    for (let i = 0; i < layers; i++) {
      const before = x;
      const local = w.config.windowed?.[i] === true;
      const { q, k, v } = project(w, norm(x, `${i}.norm.1`), i, local);
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
      x = around(add(x, h), before);
    }
    return norm(x, 'norm');

    function project(w: Weights, y: Tensor, i: number, local: boolean) {
      const q = w.linear(y, `${i}.q`); // [R, H·d]
      const k = w.linear(y, `${i}.k`); // [R, KV·d]
      const v = w.linear(y, `${i}.v`);
      const tables = local && w.config.localRopeTheta !== undefined ? 'rope.local' : 'rope';
      const [cos, sin] = [w.get(`${tables}.cos`), w.get(`${tables}.sin`)];
      const turn = (t: Tensor, n: number) => {
        const rows = reshape(t, [-1, 1, n * headWidth]);
        return reshape(rotary(rows, at, cos, sin, n), [-1, n * headWidth]);
      };
      const normed = (t: Tensor, n: number, name: string) =>
        w.config.hasQkNorm
          ? reshape(norm(reshape(t, [-1, n, headWidth]), `${i}.${name}`), [-1, n * headWidth])
          : t;
      return {
        q: turn(normed(q, heads, 'q_norm'), heads),
        k: turn(normed(k, kvHeads, 'k_norm'), kvHeads),
        v,
      };
    }
  },

  readout: (_w, hidden) => hidden,

  outputs: (w) => w.get(w.config.hasTiedHead ? 'embedding' : 'head'),

  head(w, hidden, ids) {
    if (!ids) return w.product(hidden, w.config.hasTiedHead ? 'embedding' : 'head');
    return matmul(hidden, gather(this.outputs(w), ids), { transB: true });
  },
};

function feedForward(w: Weights, y: Tensor, i: number): Tensor {
  const gate = activate(w.linear(y, `${i}.gate`), w.config.activation);
  return w.linear(mul(gate, w.linear(y, `${i}.up`)), `${i}.down`);
}

function activate(x: Tensor, activation: ModelConfig['activation']): Tensor {
  if (activation === 'silu') return silu(x);
  if (activation === 'relu') return relu(x);
  return gelu(x, activation === 'gelu' ? 'none' : 'tanh');
}

function plain(name: string, stored: string, shape: readonly number[]): WeightSpec {
  return { name, shape, load: (read) => read(stored) };
}

function linear(
  name: string,
  stored: string,
  shape: readonly number[],
  after?: string,
): WeightSpec {
  const spec = { ...plain(name, stored, shape), isLinear: true };
  return after === undefined ? spec : { ...spec, after: [after] };
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
