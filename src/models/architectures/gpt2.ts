/** GPT-2 and distilGPT-2: layer norms before each half, learned positions, a tied head. */
import {
  add,
  gather,
  gelu,
  layerNorm,
  matmul,
  relu,
  split,
  type Tensor,
} from '../../tensor/index.ts';
import type { Architecture, LinearPart, WeightSpec } from '../architecture.ts';
import { transposed } from '../gguf-names.ts';

export const gpt2: Architecture = {
  name: 'gpt2',

  weights(config, hasTensor) {
    const { layers, width: D, innerWidth, vocabulary, contextLength } = config;
    // Checkpoints of the bare model and of the LM head model differ by a prefix.
    const prefix = hasTensor('transformer.wte.weight') ? 'transformer.' : '';
    const plain = (name: string, stored: string, shape: number[]): WeightSpec => ({
      name,
      shape,
      load: (read) => read(prefix + stored),
    });
    /** Stored [in, out], as GPT-2's Conv1D has it. */
    const linear = (
      name: string,
      stored: string,
      { shape: [out, inner], after }: { shape: [number, number]; after?: string },
    ): WeightSpec[] => [
      {
        name,
        shape: [out, inner],
        isLinear: true,
        ...(after ? { after: [`${after}.gain`, `${after}.shift`] } : {}),
        load: async (read) => transposed(await read(`${prefix}${stored}.weight`), inner, out),
      },
      plain(`${name}.bias`, `${stored}.bias`, [out]),
    ];
    const norm = (name: string, stored: string) => [
      plain(`${name}.gain`, `${stored}.weight`, [D]),
      plain(`${name}.shift`, `${stored}.bias`, [D]),
    ];
    const specs = [
      plain('embedding', 'wte.weight', [vocabulary, D]),
      plain('positions', 'wpe.weight', [contextLength, D]),
      ...norm('norm', 'ln_f'),
    ];
    for (let i = 0; i < layers; i++) {
      specs.push(
        ...norm(`${i}.norm.1`, `h.${i}.ln_1`),
        ...norm(`${i}.norm.2`, `h.${i}.ln_2`),
        ...linear(`${i}.qkv`, `h.${i}.attn.c_attn`, { shape: [3 * D, D], after: `${i}.norm.1` }),
        ...linear(`${i}.out`, `h.${i}.attn.c_proj`, { shape: [D, D] }),
        ...linear(`${i}.up`, `h.${i}.mlp.c_fc`, { shape: [innerWidth, D], after: `${i}.norm.2` }),
        ...linear(`${i}.down`, `h.${i}.mlp.c_proj`, { shape: [D, innerWidth] }),
      );
    }
    return specs;
  },

  linears({ width, innerWidth }, layer) {
    const own = (
      name: string,
      module: string,
      role: LinearPart['role'],
      size: [number, number],
    ) => ({
      name: `${layer}.${name}`,
      inner: size[1],
      parts: [{ role, module: `transformer.h.${layer}.${module}`, rows: size[0] }],
    });
    return [
      own('qkv', 'attn.c_attn', 'qkv', [3 * width, width]),
      own('out', 'attn.c_proj', 'o', [width, width]),
      own('up', 'mlp.c_fc', 'up', [innerWidth, width]),
      own('down', 'mlp.c_proj', 'down', [width, innerWidth]),
    ];
  },

  words: (w, ids) => gather(w.get('embedding'), ids),

  place: (w, words, positions) => add(words, gather(w.get('positions'), positions)),

  forward(w, x, _positions, attend, { select, around = (y: Tensor) => y } = {}) {
    const { layers, width: D, epsilon, activation } = w.config;
    const norm = (y: Tensor, name: string) =>
      layerNorm(y, w.get(`${name}.gain`), w.get(`${name}.shift`), epsilon);
    for (let i = 0; i < layers; i++) {
      const before = x;
      const [q, k, v] = split(w.linear(norm(x, `${i}.norm.1`), `${i}.qkv`), [D, D, D], -1);
      let mixed = attend(q!, k!, v!, { layer: i });
      if (i === layers - 1 && select) {
        mixed = select(mixed);
        x = select(x);
      }
      x = add(x, w.linear(mixed, `${i}.out`));
      const inner = w.linear(norm(x, `${i}.norm.2`), `${i}.up`);
      const active =
        activation === 'relu' ? relu(inner) : gelu(inner, activation === 'gelu' ? 'none' : 'tanh');
      x = around(add(x, w.linear(active, `${i}.down`)), before);
    }
    return norm(x, 'norm');
  },

  readout: (_w, hidden) => hidden,

  outputs: (w) => w.get('embedding'),

  head(w, hidden, ids) {
    if (!ids) return w.product(hidden, 'embedding');
    return matmul(hidden, gather(this.outputs(w), ids), { transB: true });
  },
};
