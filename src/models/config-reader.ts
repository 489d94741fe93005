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
  const type = typeof json.model_type === 'string' ? json.model_type : '';
  const text = section(json, 'text_config', where) ?? json;
  refuseUnsupported(text, where);
  if (json.tie_word_embeddings === false && ['gpt2', 'bert', 'roberta'].includes(type)) {
    throw new WeightsError(`${where}: ${type} with a head of its own is not supported`);
  }
  if (type === 'gpt2') return gpt2Config(text, where);
  if (['bert', 'roberta', 'xlm-roberta'].includes(type)) return bertConfig(text, type, where);
  if (['llama', 'mistral', 'qwen2', 'qwen3', 'gemma3', 'gemma3_text'].includes(type)) {
    return llamaConfig(text, type.replace('_text', ''), where);
  }
  throw new WeightsError(
    `${where}: model type ${shown(json.model_type)} is not supported, known are llama, mistral, qwen2, qwen3, gemma3, gpt2, bert, roberta`,
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
      ...windowOf(json, layers, type, where),
    },
    where,
  );
}

type Rope = Pick<ModelConfig, 'ropeTheta' | 'localRopeTheta' | 'ropeScale' | 'llama3Rope'>;

/** Rotary settings in the old form (rope_theta, rope_scaling) and in the new one (rope_parameters). */
function ropeParameters(json: Json, where: string): Rope {
  const given = section(json, 'rope_parameters', where);
  const full = (given && section(given, 'full_attention', where)) ?? given ?? {};
  const local = given && section(given, 'sliding_attention', where);
  const scaling = given ? full : (section(json, 'rope_scaling', where) ?? {});
  const n = numbers(scaling, where);
  const theta = numbers({ rope_theta: full.rope_theta ?? json.rope_theta }, where);
  const localTheta = local?.rope_theta ?? json.rope_local_base_freq ?? undefined;
  const kind = scaling.rope_type ?? scaling.type ?? 'default';
  const base = {
    ropeTheta: theta('rope_theta', 10_000),
    ...(localTheta === undefined
      ? {}
      : { localRopeTheta: numbers({ rope_theta: localTheta }, where)('rope_theta') }),
  };
  if (kind === 'default') return base;
  if (kind === 'linear') return { ...base, ropeScale: n('factor') };
  if (kind === 'llama3') {
    return {
      ...base,
      llama3Rope: {
        factor: n('factor'),
        lowFactor: n('low_freq_factor'),
        highFactor: n('high_freq_factor'),
        originalLength: n('original_max_position_embeddings'),
      },
    };
  }
  throw new WeightsError(
    `${where}: rope scaling ${shown(kind)} is not supported, known are default, linear, llama3`,
  );
}

function windowOf(json: Json, layers: number, type: string, where: string): Partial<ModelConfig> {
  if (!json.sliding_window || (type.startsWith('qwen') && json.use_sliding_window !== true)) {
    return {};
  }
  if (type === 'llama') return {}; // The field stands in some files and means nothing there.
  const n = numbers(json, where);
  const window = n('sliding_window');
  const types = Array.isArray(json.layer_types) ? (json.layer_types as unknown[]) : undefined;
  const pattern = n('sliding_window_pattern', 6);
  if (layers > MOST.layers) return {}; // `checked` refuses it.
  const windowed = Array.from({ length: layers }, (_, i) => {
    if (types) return types[i] === 'sliding_attention';
    if (type.startsWith('qwen')) return i >= n('max_window_layers', 28);
    return type === 'gemma3' ? (i + 1) % pattern !== 0 : true;
  });
  return { window, windowed };
}

function gpt2Config(json: Json, where: string): ModelConfig {
  const n = numbers(json, where);
  const width = n('n_embd');
  const heads = n('n_head');
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
  const scaling = get('rope.scaling.type') ?? 'none';
  if (scaling !== 'none') {
    json.rope_scaling = { rope_type: scaling, factor: get('rope.scaling.factor') };
  }
  const rotated = get('rope.dimension_count');
  if (rotated !== undefined) {
    const headWidth = get('attention.key_length') ?? Number(json.hidden_size) / Number(json.n_head);
    json.partial_rotary_factor = Number(rotated) / Number(headWidth);
  }
  // Only the 27B model scales by the width a head, as llama.cpp knows it by its layers.
  if (type === 'gemma3' && json.num_hidden_layers === 62) {
    json.query_pre_attn_scalar = Number(json.hidden_size) / Number(json.n_head);
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
    throw new WeightsError(`${where}: "${key}" must be a positive number, got ${shown(json[key])}`);
  };
}

const activations = new Map<string, ModelConfig['activation']>([
  ['silu', 'silu'],
  ['swish', 'silu'],
  ['gelu', 'gelu'],
  ['gelu_new', 'gelu-tanh'],
  ['gelu_pytorch_tanh', 'gelu-tanh'],
  ['relu', 'relu'],
]);

function activationOf(name: unknown, where: string): ModelConfig['activation'] {
  const activation = typeof name === 'string' ? activations.get(name) : undefined;
  if (activation) return activation;
  throw new WeightsError(
    `${where}: activation ${shown(name)} is not supported, known are ${[...activations.keys()].join(', ')}`,
  );
}

const MOST = {
  layers: 512,
  width: 65_536,
  innerWidth: 1 << 20,
  heads: 1024,
  kvHeads: 1024,
  headWidth: 4096,
  vocabulary: 1 << 22,
  contextLength: 1 << 24,
};

/** Refuses sizes that no model has, before anything is allocated for them. */
function checked(config: ModelConfig, where: string): ModelConfig {
  for (const [key, limit] of Object.entries(MOST)) {
    const value = config[key as keyof typeof MOST];
    if (!Number.isInteger(value) || value < 1 || value > limit) {
      throw new WeightsError(
        `${where}: ${key} is ${value}, expected a whole number from 1 to ${limit}`,
      );
    }
  }
  if (config.heads % config.kvHeads !== 0 || (config.ropeTheta > 0 && config.headWidth % 2 !== 0)) {
    throw new WeightsError(
      `${where}: ${config.heads} heads over ${config.kvHeads} key/value heads of width ${config.headWidth} do not fit`,
    );
  }
  return config;
}

/** Fields that change the computation in ways we do not follow, and the values that change nothing. */
const neutral: Record<string, readonly unknown[]> = {
  scale_attn_by_inverse_layer_idx: [false],
  scale_attn_weights: [true],
  add_cross_attention: [false],
  is_decoder: [false],
  position_embedding_type: ['absolute'],
  partial_rotary_factor: [1],
  attn_logit_softcapping: [],
  final_logit_softcapping: [],
  use_bidirectional_attention: [false],
};

function refuseUnsupported(json: Json, where: string): void {
  for (const [key, allowed] of Object.entries(neutral)) {
    const value = json[key] ?? undefined;
    if (value !== undefined && !allowed.includes(value)) {
      throw new WeightsError(
        `${where}: "${key}": ${shown(value)} is not supported, take a model without it`,
      );
    }
  }
}

/** An object within the configuration, or nothing where it is missing or null. */
function section(json: Json, key: string, where: string): Json | undefined {
  const value = json[key] ?? undefined;
  if (value === undefined) return undefined;
  if (typeof value === 'object' && !Array.isArray(value)) return value as Json;
  throw new WeightsError(`${where}: "${key}" must be an object, got ${shown(value)}`);
}

function shown(value: unknown): string {
  if (typeof value === 'string') return JSON.stringify(value.slice(0, 60));
  if (typeof value === 'object' && value !== null)
    return Array.isArray(value) ? 'a list' : 'an object';
  return String(value ?? 'nothing');
}
