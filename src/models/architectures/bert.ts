/**
 * BERT and RoBERTa as masked LMs: norms after each half, attention both ways, learned positions, a
 * head of one dense layer, norm and the tied embedding with a bias.
 */
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
import type { Architecture, LinearPart, WeightReader, WeightSpec } from '../architecture.ts';

function maskedArchitecture(name: 'bert' | 'roberta'): Architecture {
  const head =
    name === 'bert'
      ? {
          dense: 'cls.predictions.transform.dense',
          norm: 'cls.predictions.transform.LayerNorm',
          bias: 'cls.predictions.bias',
        }
      : { dense: 'lm_head.dense', norm: 'lm_head.layer_norm', bias: 'lm_head.bias' };
  return {
    name,

    weights(config, hasTensor) {
      const { layers, width: D, innerWidth, vocabulary, contextLength, positionOffset } = config;
      const prefix = hasTensor(`${name}.embeddings.word_embeddings.weight`) ? `${name}.` : '';
      const at = `${prefix}embeddings`;
      /** Old checkpoints call a norm's gain and shift gamma and beta. */
      const norm = (name: string, stored: string) => {
        const isOld = hasTensor(`${stored}.gamma`);
        return [
          plain(`${name}.gain`, `${stored}.${isOld ? 'gamma' : 'weight'}`, [D]),
          plain(`${name}.shift`, `${stored}.${isOld ? 'beta' : 'bias'}`, [D]),
        ];
      };
      const specs: WeightSpec[] = [
        plain('embedding', `${at}.word_embeddings.weight`, [vocabulary, D]),
        {
          name: 'positions',
          shape: [contextLength, D],
          load: async (read) =>
            (await read(`${at}.position_embeddings.weight`)).slice(positionOffset * D),
        },
        {
          name: 'segment',
          shape: [D],
          load: async (read) => (await read(`${at}.token_type_embeddings.weight`)).slice(0, D),
        },
        ...norm('norm.0', `${at}.LayerNorm`),
        ...linear('head.dense', [head.dense], [D, D]),
        ...norm('head.norm', head.norm),
        plain('head.bias', head.bias, [vocabulary]),
      ];
      for (let i = 0; i < layers; i++) {
        const layer = `${prefix}encoder.layer.${i}`;
        const self = ['query', 'key', 'value'].map((p) => `${layer}.attention.self.${p}`);
        specs.push(
          ...linear(`${i}.qkv`, self, [3 * D, D]),
          ...linear(`${i}.out`, [`${layer}.attention.output.dense`], [D, D]),
          ...norm(`${i}.norm.1`, `${layer}.attention.output.LayerNorm`),
          ...linear(`${i}.up`, [`${layer}.intermediate.dense`], [innerWidth, D]),
          ...linear(`${i}.down`, [`${layer}.output.dense`], [D, innerWidth]),
          ...norm(`${i}.norm.2`, `${layer}.output.LayerNorm`),
        );
      }
      return specs;
    },

    linears({ width, innerWidth }, layer) {
      const at = `${name}.encoder.layer.${layer}`;
      const part = (role: LinearPart['role'], module: string, rows: number) => ({
        role,
        module: `${at}.${module}`,
        rows,
      });
      const qkv = (['query', 'key', 'value'] as const).map((module, i) =>
        part((['q', 'k', 'v'] as const)[i]!, `attention.self.${module}`, width),
      );
      return [
        { name: `${layer}.qkv`, inner: width, parts: qkv },
        {
          name: `${layer}.out`,
          inner: width,
          parts: [part('o', 'attention.output.dense', width)],
        },
        {
          name: `${layer}.up`,
          inner: width,
          parts: [part('up', 'intermediate.dense', innerWidth)],
        },
        { name: `${layer}.down`, inner: innerWidth, parts: [part('down', 'output.dense', width)] },
      ];
    },

    words: (w, ids) => gather(w.get('embedding'), ids),

    place(w, words, positions) {
      const placed = add(words, gather(w.get('positions'), positions));
      return normed(w, add(placed, w.get('segment')), 'norm.0');
    },

    forward(w, x, _positions, attend, { select, around = (y: Tensor) => y } = {}) {
      const { layers, width: D } = w.config;
      for (let i = 0; i < layers; i++) {
        const before = x;
        const [q, k, v] = split(w.linear(x, `${i}.qkv`), [D, D, D], -1);
        let mixed = attend(q!, k!, v!, { layer: i });
        if (i === layers - 1 && select) {
          mixed = select(mixed);
          x = select(x);
        }
        x = normed(w, add(x, w.linear(mixed, `${i}.out`)), `${i}.norm.1`);
        const inner = activate(w, w.linear(x, `${i}.up`));
        x = around(normed(w, add(x, w.linear(inner, `${i}.down`)), `${i}.norm.2`), before);
      }
      return x;
    },

    readout(w, hidden) {
      // RoBERTa's head always uses the exact GELU; BERT's its configured activation.
      const dense = w.linear(hidden, 'head.dense');
      const active = name === 'bert' ? activate(w, dense) : gelu(dense);
      return normed(w, active, 'head.norm');
    },

    outputs: (w) => w.get('embedding'),

    head(w, hidden, ids) {
      const y = this.readout(w, hidden);
      const table = this.outputs(w);
      const bias = w.get('head.bias');
      const logits = matmul(y, ids ? gather(table, ids) : table, { transB: true });
      return add(logits, ids ? gather(bias, ids) : bias);
    },
  };
}

export const bert = maskedArchitecture('bert');
export const roberta = maskedArchitecture('roberta');

type View = Parameters<Architecture['head']>[0];

function normed(w: View, x: Tensor, name: string): Tensor {
  return layerNorm(x, w.get(`${name}.gain`), w.get(`${name}.shift`), w.config.epsilon);
}

function activate(w: View, x: Tensor): Tensor {
  if (w.config.activation === 'relu') return relu(x);
  return gelu(x, w.config.activation === 'gelu' ? 'none' : 'tanh');
}

function plain(name: string, stored: string, shape: readonly number[]): WeightSpec {
  return { name, shape, load: (read) => read(stored) };
}

/** A layer's matrix and bias, joined from one or several stored ones. */
function linear(name: string, stored: readonly string[], shape: readonly number[]): WeightSpec[] {
  const join = (part: string) => async (read: WeightReader) => {
    const parts = [];
    for (const layer of stored) parts.push(await read(`${layer}.${part}`));
    const out = new Float32Array(parts.reduce((n, values) => n + values.length, 0));
    let at = 0;
    for (const values of parts) {
      out.set(values, at);
      at += values.length;
    }
    return out;
  };
  return [
    { name, shape, isLinear: true, load: join('weight') },
    { name: `${name}.bias`, shape: [shape[0]!], load: join('bias') },
  ];
}
