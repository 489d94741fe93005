/** A LoRA adapter on disk, in Hugging Face PEFT's layout, with what is needed to score it again. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError, WeightsError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { type LoraOptions, loraByModule, loraShapes } from '../models/lora.ts';
import { openWeights } from '../models/open-weights.ts';
import { writeSafetensors } from '../models/write-safetensors.ts';
import type { Parameters } from '../tensor/index.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { onDisk } from '../util/disk.ts';

export interface LoraAdapter extends LoraOptions {
  /** Factors stacked over layers, by name. */
  readonly parameters: Parameters;
  /** Text in the template's prompt slot. */
  readonly prompt: string;
  /** As the task had it in training. */
  readonly template: string;
  /** Key and name of the base. */
  readonly model: string;
  readonly modelName: string;
}

const metadataSchema = z.object({
  kind: z.literal('lora'),
  rank: z.coerce.number().int().positive(),
  alpha: z.coerce.number().positive(),
  layers: z.enum(['qv', 'all']),
  prompt: z.string(),
  template: z.string(),
  model: z.string(),
  modelName: z.string(),
});

export async function saveLora(
  folder: string,
  adapter: LoraAdapter,
  lm: LanguageModel,
): Promise<string[]> {
  const { architecture, config } = lm;
  const { parameters, rank, alpha, ...known } = adapter;
  const shapes = loraShapes(architecture, config, adapter);
  const places = loraByModule(architecture, config, adapter);
  const path = join(folder, 'peft', 'adapter_model.safetensors');
  await writeSafetensors(
    path,
    places.map(({ key, name, layer }) => {
      const [, rows, columns] = shapes[name]!;
      const size = rows! * columns!;
      const data = parameters[name]!.subarray(layer * size, (layer + 1) * size);
      return { name: key, dtype: 'F32' as const, shape: [rows!, columns!], data };
    }),
    { format: 'pt', kind: 'lora', rank: String(rank), alpha: String(alpha), ...known },
  );
  const configPath = join(folder, 'peft', 'adapter_config.json');
  const peft = {
    peft_type: 'LORA',
    task_type: config.kind === 'causal' ? 'CAUSAL_LM' : null,
    base_model_name_or_path: adapter.modelName,
    inference_mode: true,
    r: rank,
    lora_alpha: alpha,
    lora_dropout: 0,
    bias: 'none',
    // GPT-2 stores its matrices [in, out].
    fan_in_fan_out: architecture.name === 'gpt2',
    // Paths below one layer, so that no module elsewhere is meant.
    target_modules: [
      ...new Set(
        places.map(({ key, layer }) => key.split(`.${layer}.`)[1]!.replace(/\.lora_.*$/, '')),
      ),
    ],
  };
  await onDisk(configPath, () => writeFileAtomic(configPath, `${JSON.stringify(peft, null, 2)}\n`));
  return [path, configPath];
}

/**
 * Factors to go on from, of an adapter that an earlier run saved: its file, or a folder that holds it.
 * @throws ConfigError when it is of another size than is wanted
 * @throws WeightsError when it is none, or was made for another model
 */
export async function earlierLora(
  path: string,
  lm: LanguageModel,
  wanted: LoraOptions,
): Promise<Parameters> {
  const name = 'adapter_model.safetensors';
  const places = [join(path, 'peft', name), join(path, name)];
  const file = places.find((place) => existsSync(place)) ?? path;
  const { parameters, ...found } = await readLora(file, lm);
  for (const key of ['rank', 'alpha', 'layers'] as const) {
    if (found[key] === wanted[key]) continue;
    throw new ConfigError(
      `method.adapter: ${file} has ${key} ${found[key]}, the method ${wanted[key]}, set method.${key} to ${found[key]}`,
    );
  }
  return parameters;
}

/** @throws WeightsError when the file is no adapter of ours, or does not fit the model */
export async function readLora(path: string, lm: LanguageModel): Promise<LoraAdapter> {
  const { architecture, config } = lm;
  const file = await openWeights(path);
  try {
    const metadata = metadataSchema.safeParse(Object.fromEntries(file.metadata));
    if (!metadata.success) {
      throw new WeightsError(
        `${path}: expected a LoRA adapter as the method fine-tune saves it, with its metadata`,
      );
    }
    const { kind: _, ...known } = metadata.data;
    const shapes = loraShapes(architecture, config, known);
    const parameters = Object.fromEntries(
      Object.entries(shapes).map(([name, shape]) => [
        name,
        new Float32Array(shape.reduce((a, b) => a * b, 1)),
      ]),
    );
    for (const { key, name, layer } of loraByModule(architecture, config, known)) {
      const wanted = shapes[name]!.slice(1);
      const found = file.tensors.get(key)?.shape;
      if (found?.join() !== wanted.join()) {
        throw new WeightsError(
          `${path}: tensor ${key} has the shape [${found ?? 'none'}], ${lm.name} needs [${wanted}], configure the model ${known.modelName} that it was made for`,
        );
      }
      parameters[name]!.set(await file.read(key), layer * wanted[0]! * wanted[1]!);
    }
    return { ...known, parameters };
  } finally {
    await file.close();
  }
}
