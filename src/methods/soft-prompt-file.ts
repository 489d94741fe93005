/**
 * A soft prompt on disk: `soft-prompt.safetensors` with all that is needed to score it again, and a
 * folder `peft/` that Hugging Face PEFT loads as a prompt-tuning adapter. PEFT puts virtual tokens in
 * front of everything; for those behind the input the folder holds the tensor and a note says so.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { WeightsError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { openWeights } from '../models/open-weights.ts';
import { writeSafetensors } from '../models/write-safetensors.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { onDisk } from '../util/disk.ts';

export interface SoftPrompt {
  /** [P, D]. */
  readonly virtual: Float32Array<ArrayBuffer>;
  readonly virtualTokens: number;
  readonly place: 'after' | 'before';
  /** Text that stood in the template's prompt slot. */
  readonly prompt: string;
  /** As the task had it in training. */
  readonly template: string;
  /** Key and name of the task LM. */
  readonly model: string;
  readonly modelName: string;
}

/** As PEFT calls the tensor. */
const PEFT_NAME = 'prompt_embeddings';

const metadataSchema = z.object({
  kind: z.literal('soft-prompt'),
  place: z.enum(['after', 'before']),
  prompt: z.string(),
  template: z.string(),
  model: z.string(),
  modelName: z.string(),
});

export async function saveSoftPrompt(
  folder: string,
  soft: SoftPrompt,
  lm: LanguageModel,
): Promise<string[]> {
  const { virtual, virtualTokens, ...known } = soft;
  const shape = [virtualTokens, lm.config.width];
  const files = ['soft-prompt.safetensors', 'peft/adapter_model.safetensors'].map((name) =>
    join(folder, name),
  );
  const tensor = { dtype: 'F32', shape, data: virtual } as const;
  const metadata = { kind: 'soft-prompt', ...known };
  await writeSafetensors(files[0]!, [{ ...tensor, name: 'virtual' }], metadata);
  const peft = { format: 'pt', ...metadata };
  await writeSafetensors(files[1]!, [{ ...tensor, name: PEFT_NAME }], peft);
  const config = join(folder, 'peft', 'adapter_config.json');
  await onDisk(config, () =>
    writeFileAtomic(config, `${JSON.stringify(peftConfig(soft, lm), null, 2)}\n`),
  );
  const note = join(folder, 'peft', 'README.md');
  await onDisk(note, () => writeFileAtomic(note, peftNote(soft)));
  return [...files, config, note];
}

/** Reads either file. @throws WeightsError when it holds no soft prompt, or one for a model of another width */
export async function readSoftPrompt(path: string, lm: LanguageModel): Promise<SoftPrompt> {
  const file = await openWeights(path);
  try {
    const metadata = metadataSchema.safeParse(Object.fromEntries(file.metadata));
    const name = file.tensors.has(PEFT_NAME) ? PEFT_NAME : 'virtual';
    const shape = file.tensors.get(name)?.shape;
    if (!metadata.success || shape?.length !== 2) {
      throw new WeightsError(
        `${path}: expected a soft prompt as the method soft-prompt saves it (a tensor "virtual" [P, D] and its metadata)`,
      );
    }
    const { kind: _, ...known } = metadata.data;
    if (shape[1] !== lm.config.width) {
      throw new WeightsError(
        `${path}: its virtual tokens have the width ${shape[1]} of ${known.modelName}, the task LM ${lm.name} has ${lm.config.width}, configure the model it was made for`,
      );
    }
    return { ...known, virtual: await file.read(name), virtualTokens: shape[0]! };
  } finally {
    await file.close();
  }
}

function peftConfig({ virtualTokens, modelName }: SoftPrompt, { config }: LanguageModel): object {
  return {
    peft_type: 'PROMPT_TUNING',
    task_type: config.kind === 'causal' ? 'CAUSAL_LM' : null,
    base_model_name_or_path: modelName,
    inference_mode: true,
    num_virtual_tokens: virtualTokens,
    token_dim: config.width,
    num_transformer_submodules: 1,
    num_attention_heads: config.heads,
    num_layers: config.layers,
    prompt_tuning_init: 'RANDOM',
  };
}

function peftNote({ place, prompt, template, modelName }: SoftPrompt): string {
  const where =
    place === 'before'
      ? 'in front of the whole text, which is where PEFT puts them'
      : 'behind the input. PEFT puts them in front: insert them yourself through `inputs_embeds`';
  return `# Soft prompt for ${modelName}

Virtual tokens learnt for the template \`${template}\`${prompt ? ` with the prompt \`${prompt}\`` : ''}, standing ${where}.
`;
}
