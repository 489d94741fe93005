/**
 * GGUF's tensor names for the names of Hugging Face checkpoints, and its few changes of layout
 * undone: llama's q and k rows are permuted there, Gemma's gains have one added.
 * Source: llama.cpp, gguf-py/gguf/tensor_mapping.py and conversion scripts.
 */
import type { ModelConfig, WeightReader } from './architecture.ts';
import { unpermuteRope } from './dequantize.ts';
import type { WeightFile } from './weight-file.ts';

const llamaNames: readonly [RegExp, string][] = [
  [/^model\.embed_tokens\./, 'token_embd.'],
  [/^model\.norm\./, 'output_norm.'],
  [/^lm_head\./, 'output.'],
  [/^model\.layers\.(\d+)\.self_attn\.([qkv])_proj\./, 'blk.$1.attn_$2.'],
  [/^model\.layers\.(\d+)\.self_attn\.o_proj\./, 'blk.$1.attn_output.'],
  [/^model\.layers\.(\d+)\.self_attn\.([qk])_norm\./, 'blk.$1.attn_$2_norm.'],
  [/^model\.layers\.(\d+)\.mlp\.(gate|up|down)_proj\./, 'blk.$1.ffn_$2.'],
  [/^model\.layers\.(\d+)\.input_layernorm\./, 'blk.$1.attn_norm.'],
  [/^model\.layers\.(\d+)\.pre_feedforward_layernorm\./, 'blk.$1.ffn_norm.'],
  [/^model\.layers\.(\d+)\.post_feedforward_layernorm\./, 'blk.$1.post_ffw_norm.'],
];

const gpt2Names: readonly [RegExp, string][] = [
  [/^wte\./, 'token_embd.'],
  [/^wpe\./, 'position_embd.'],
  [/^ln_f\./, 'output_norm.'],
  [/^h\.(\d+)\.ln_1\./, 'blk.$1.attn_norm.'],
  [/^h\.(\d+)\.ln_2\./, 'blk.$1.ffn_norm.'],
  [/^h\.(\d+)\.attn\.c_attn\./, 'blk.$1.attn_qkv.'],
  [/^h\.(\d+)\.attn\.c_proj\./, 'blk.$1.attn_output.'],
  [/^h\.(\d+)\.mlp\.c_fc\./, 'blk.$1.ffn_up.'],
  [/^h\.(\d+)\.mlp\.c_proj\./, 'blk.$1.ffn_down.'],
];

/** Reads a GGUF file under checkpoint names. */
export function ggufReader(
  source: WeightFile,
  config: ModelConfig,
): { reader: WeightReader; hasTensor: (name: string) => boolean } {
  const isLlama = source.metadata.get('general.architecture') === 'llama';
  const stored = (name: string) => ggufName(name, config);
  return {
    hasTensor: (name) => source.tensors.has(stored(name)),
    reader: async (name) => {
      const values = await source.read(stored(name));
      const projection = /self_attn\.([qk])_proj\.weight$/.exec(name);
      if (isLlama && projection) {
        const heads = projection[1] === 'q' ? config.heads : config.kvHeads;
        return unpermuteRope(values, heads, heads * config.headWidth, config.width);
      }
      if (config.isGemma && name.endsWith('norm.weight')) return values.map((x) => x - 1);
      // GPT-2's checkpoints keep matrices as [in, out], GGUF as [out, in].
      const tensor = source.tensors.get(stored(name))!;
      return config.architecture === 'gpt2' && /\.c_\w+\.weight$/.test(name)
        ? transposed(values, tensor.shape[0]!, tensor.shape[1]!)
        : values;
    },
  };
}

function ggufName(name: string, config: ModelConfig): string {
  for (const [pattern, replacement] of config.architecture === 'gpt2' ? gpt2Names : llamaNames) {
    if (pattern.test(name)) return name.replace(pattern, replacement);
  }
  // With norms after both halves (Gemma), "post_attention" is after attention; else before the MLP.
  const after = /^model\.layers\.(\d+)\.post_attention_layernorm\./;
  return name.replace(after, config.isGemma ? 'blk.$1.post_attention_norm.' : 'blk.$1.ffn_norm.');
}

/** [rows, columns] to [columns, rows]. */
export function transposed(
  values: Float32Array,
  rows: number,
  columns: number,
): Float32Array<ArrayBuffer> {
  const out = new Float32Array(values.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = values[r * columns + c]!;
  }
  return out;
}
