/**
 * Model configurations from Hugging Face's config.json and from GGUF metadata, checked: a field that
 * we cannot honour is refused, not ignored.
 */
import { WeightsError } from '../errors.ts';
import type { ModelConfig } from './architecture.ts';
import type { MetadataValue } from './weight-file.ts';

type Json = Record<string, unknown>;

/** Longest sequence that position tables are made for. */
const LONGEST = 8192;

/** @throws WeightsError for a model type or a setting that is not supported */
export function configFromJson(json: Json, where: string): ModelConfig {
  const type = String(json.model_type ?? '');
  const text = (json.text_config as Json | undefined) ?? json;
  if (type === 'gpt2') return gpt2Config(text, where);
  if (['bert', 'roberta', 'xlm-roberta'].includes(type)) return bertConfig(text, type, where);
  if (['llama', 'mistral', 'qwen2', 'qwen3', 'gemma3', 'gemma3_text'].includes(type)) {
    return llamaConfig(text, type.replace('_text', ''), where);
  }
  throw new WeightsError(
    `${where}: model type "${type}" is not supported, known are llama, mistral, qwen2, qwen3, gemma3, gpt2, bert, roberta`,
  );
}

function llamaConfig(json: Json, type: string, where: string): ModelConfig {
  const n = numbers(json, where);
  const heads = n('num_attention_heads');
  const width = n('hidden_size');
  const headWidth = n('head_dim', width / heads);
  const layers = n('num_hidden_layers');
  const isGemma = type === 'gemma3';
  const rope = ropeParameters(json, where);
  return checked(
    {
      architecture: 'llama',
      kind: 'causal',
      layers,
      width,
      innerWidth: n('intermediate_size'),
      heads,
      kvHeads: n('num_key_value_heads', heads),
      headWidth,
      vocabulary: n('vocab_size'),
      contextLength: Math.min(n('max_position_embeddings', LONGEST), LONGEST),
      epsilon: n('rms_norm_eps', 1e-6),
      attentionScale: (isGemma ? n('query_pre_attn_scalar', headWidth) : headWidth) ** -0.5,
      activation: activationOf(json.hidden_activation ?? json.hidden_act ?? 'silu', where),
      hasQkvBias: type === 'qwen2' || json.attention_bias === true,
      hasQkNorm: type === 'qwen3' || isGemma,
      isGemma,
      hasTiedHead:
        json.tie_word_embeddings === true || (isGemma && json.tie_word_embeddings !== false),
      positionOffset: 0,
      ...rope,
      ...windowOf(json, layers, type),
    },
    where,
  );
}

type Rope = Pick<ModelConfig, 'ropeTheta' | 'localRopeTheta' | 'ropeScale' | 'llama3Rope'>;

/** Rotary settings in the old form (rope_theta, rope_scaling) and in the new one (rope_parameters). */
function ropeParameters(json: Json, where: string): Rope {
  const given = json.rope_parameters as Json | undefined;
  const full = (given?.full_attention as Json | undefined) ?? given ?? {};
  const local = given?.sliding_attention as Json | undefined;
  const scaling = (given ? full : ((json.rope_scaling as Json | null) ?? {})) as Json;
  const theta = Number(full.rope_theta ?? json.rope_theta ?? 10_000);
  const localTheta = local?.rope_theta ?? json.rope_local_base_freq;
  const kind = String(scaling.rope_type ?? scaling.type ?? 'default');
  const base = {
    ropeTheta: theta,
    ...(localTheta === undefined ? {} : { localRopeTheta: Number(localTheta) }),
  };
  if (kind === 'default') return base;
  if (kind === 'linear') return { ...base, ropeScale: Number(scaling.factor) };
  if (kind === 'llama3') {
    return {
      ...base,
      llama3Rope: {
        factor: Number(scaling.factor),
        lowFactor: Number(scaling.low_freq_factor),
        highFactor: Number(scaling.high_freq_factor),
        originalLength: Number(scaling.original_max_position_embeddings),
      },
    };
  }
  throw new WeightsError(
    `${where}: rope scaling "${kind}" is not supported, known are default, linear, llama3`,
  );
}

function windowOf(json: Json, layers: number, type: string): Partial<ModelConfig> {
  const window = json.sliding_window as number | null | undefined;
  if (!window || (type.startsWith('qwen') && json.use_sliding_window !== true)) return {};
  const types = json.layer_types as string[] | undefined;
  const pattern = Number(json.sliding_window_pattern ?? 6);
  const windowed = Array.from({ length: layers }, (_, i) => {
    if (types) return types[i] === 'sliding_attention';
    if (type.startsWith('qwen')) return i >= Number(json.max_window_layers ?? 28);
    return type === 'gemma3' ? (i + 1) % pattern !== 0 : true;
  });
  return { window, windowed };
}

function gpt2Config(json: Json, where: string): ModelConfig {
  const n = numbers(json, where);
  const width = n('n_embd');
  const heads = n('n_head');
  if (json.scale_attn_by_inverse_layer_idx === true) {
    throw new WeightsError(`${where}: scale_attn_by_inverse_layer_idx is not supported`);
  }
  return checked(
    {
      architecture: 'gpt2',
      kind: 'causal',
      layers: n('n_layer'),
      width,
      innerWidth: n('n_inner', 4 * width),
      heads,
      kvHeads: heads,
      headWidth: width / heads,
      vocabulary: n('vocab_size'),
      contextLength: n('n_positions', 1024),
      epsilon: n('layer_norm_epsilon', 1e-5),
      ropeTheta: 0,
      attentionScale: (width / heads) ** -0.5,
      activation: activationOf(json.activation_function ?? 'gelu_new', where),
      hasQkvBias: true,
      hasQkNorm: false,
      isGemma: false,
      hasTiedHead: true,
      positionOffset: 0,
    },
    where,
  );
}

function bertConfig(json: Json, type: string, where: string): ModelConfig {
  const n = numbers(json, where);
  const width = n('hidden_size');
  const heads = n('num_attention_heads');
  const isRoberta = type !== 'bert';
  const offset = isRoberta ? n('pad_token_id', 1) + 1 : 0;
  return checked(
    {
      architecture: isRoberta ? 'roberta' : 'bert',
      kind: 'masked',
      layers: n('num_hidden_layers'),
      width,
      innerWidth: n('intermediate_size'),
      heads,
      kvHeads: heads,
      headWidth: width / heads,
      vocabulary: n('vocab_size'),
      contextLength: n('max_position_embeddings', 512) - offset,
      epsilon: n('layer_norm_eps', 1e-12),
      ropeTheta: 0,
      attentionScale: (width / heads) ** -0.5,
      activation: activationOf(json.hidden_act ?? 'gelu', where),
      hasQkvBias: true,
      hasQkNorm: false,
      isGemma: false,
      hasTiedHead: true,
      positionOffset: offset,
    },
    where,
  );
}

/** @throws WeightsError for an architecture that is not supported */
export function configFromGguf(
  metadata: ReadonlyMap<string, MetadataValue>,
  where: string,
  hasTensor: (name: string) => boolean,
): ModelConfig {
  const type = String(metadata.get('general.architecture') ?? '');
  const known = ['llama', 'qwen2', 'qwen3', 'gemma3', 'gpt2'];
  if (!known.includes(type)) {
    throw new WeightsError(
      `${where}: GGUF architecture "${type}" is not supported, known are ${known.join(', ')}`,
    );
  }
  const get = (key: string) => metadata.get(`${type}.${key}`);
  const vocabulary = (metadata.get('tokenizer.ggml.tokens') as readonly string[] | undefined)
    ?.length;
  const json: Json = {
    model_type: type,
    vocab_size: get('vocab_size') ?? vocabulary,
    hidden_size: get('embedding_length'),
    intermediate_size: get('feed_forward_length'),
    num_hidden_layers: get('block_count'),
    num_attention_heads: get('attention.head_count'),
    num_key_value_heads: get('attention.head_count_kv'),
    head_dim: get('attention.key_length'),
    max_position_embeddings: get('context_length'),
    rms_norm_eps: get('attention.layer_norm_rms_epsilon'),
    rope_theta: get('rope.freq_base'),
    sliding_window: get('attention.sliding_window'),
    tie_word_embeddings: !hasTensor('output.weight'),
    n_embd: get('embedding_length'),
    n_head: get('attention.head_count'),
    n_layer: get('block_count'),
    n_inner: get('feed_forward_length'),
    n_positions: get('context_length'),
    layer_norm_epsilon: get('attention.layer_norm_epsilon'),
    ...(type === 'gemma3' ? { hidden_act: 'gelu_pytorch_tanh', rope_local_base_freq: 10_000 } : {}),
  };
  if (get('rope.scaling.type') === 'linear') {
    json.rope_scaling = { rope_type: 'linear', factor: get('rope.scaling.factor') };
  }
  const defined = Object.entries(json).filter(([, value]) => value !== undefined);
  return configFromJson(Object.fromEntries(defined), where);
}

function numbers(json: Json, where: string) {
  return (key: string, fallback?: number): number => {
    const value = json[key] ?? fallback;
    const number = typeof value === 'bigint' ? Number(value) : value;
    if (typeof number === 'number' && Number.isFinite(number) && number > 0) return number;
    if (key === 'pad_token_id' && number === 0) return 0;
    throw new WeightsError(
      `${where}: "${key}" must be a positive number, got ${String(JSON.stringify(json[key]))}`,
    );
  };
}

const activations: Record<string, ModelConfig['activation']> = {
  silu: 'silu',
  swish: 'silu',
  gelu: 'gelu',
  gelu_new: 'gelu-tanh',
  gelu_pytorch_tanh: 'gelu-tanh',
  relu: 'relu',
};

function activationOf(name: unknown, where: string): ModelConfig['activation'] {
  const activation = activations[String(name)];
  if (activation) return activation;
  throw new WeightsError(
    `${where}: activation "${String(name)}" is not supported, known are ${Object.keys(activations).join(', ')}`,
  );
}

/** Refuses sizes that no model has, before anything is allocated for them. */
function checked(config: ModelConfig, where: string): ModelConfig {
  const limits = {
    layers: 512,
    width: 65_536,
    innerWidth: 1 << 20,
    heads: 1024,
    vocabulary: 1 << 22,
  };
  for (const [key, limit] of Object.entries(limits)) {
    const value = config[key as keyof typeof limits];
    if (!Number.isInteger(value) || value > limit) {
      throw new WeightsError(
        `${where}: ${key} is ${value}, expected a whole number up to ${limit}`,
      );
    }
  }
  if (config.heads % config.kvHeads !== 0 || !Number.isInteger(config.headWidth)) {
    throw new WeightsError(
      `${where}: ${config.heads} heads over ${config.kvHeads} key/value heads of width ${config.headWidth} do not fit`,
    );
  }
  return config;
}
