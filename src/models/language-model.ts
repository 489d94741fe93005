/**
 * A language model ready to compute: tokenizer, configuration, prepared weights and the engine they
 * run in. Programs over it are made by `programs.ts`.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { WeightsError } from '../errors.ts';
import { type Engine, type Executable, emitProgram, type Tensor } from '../tensor/index.ts';
import type { OnProgress } from '../util/progress.ts';
import type { Architecture, ModelConfig, WeightReader, Weights } from './architecture.ts';
import { architectures } from './architectures/index.ts';
import { blockTensorCount, blockTensors } from './block-weights.ts';
import { calibrate } from './calibrate.ts';
import { configFromGguf, configFromJson } from './config-reader.ts';
import { ggufReader } from './gguf-names.ts';
import { int8TensorCount, int8Tensors } from './int8-weights.ts';
import { openWeights } from './open-weights.ts';
import {
  float32Tensors,
  openPrepared,
  type Precision,
  type Preparation,
  type PreparedFile,
  preparedKey,
  weightsOf,
} from './prepared-weights.ts';
import type { Tokenizer } from './tokenizer.ts';
import { tokenizerFromGguf } from './tokenizer-gguf.ts';
import { loadTokenizerFolder } from './tokenizer-json.ts';
import type { WeightFile } from './weight-file.ts';

export interface OpenOptions {
  readonly engine: Engine;
  /** Where prepared files go; one folder per model is made in it. */
  readonly cacheFolder: string;
  /** As reports name the model. @default the path */
  readonly name?: string;
  readonly onProgress?: OnProgress;
}

export class LanguageModel {
  readonly name: string;
  readonly config: ModelConfig;
  readonly architecture: Architecture;
  readonly tokenizer: Tokenizer;
  readonly engine: Engine;
  /** Identifies weights and configuration: part of every cache key. */
  readonly key: string;
  /** Where the weights lie that programs read. */
  readonly folder: string;
  private readonly source: WeightFile;
  private readonly hasTensor: (name: string) => boolean;
  private readonly reader: WeightReader;
  private readonly onProgress: OnProgress | undefined;
  private readonly prepared = new Map<Precision, Promise<PreparedFile>>();

  private constructor(
    parts: ModelParts & { name: string; options: OpenOptions; key: string; source: WeightFile },
  ) {
    this.name = parts.name;
    this.config = parts.config;
    this.architecture = architectures[parts.config.architecture as keyof typeof architectures];
    this.tokenizer = parts.tokenizer;
    this.engine = parts.options.engine;
    this.key = parts.key;
    this.folder = join(parts.options.cacheFolder, parts.key);
    this.source = parts.source;
    this.hasTensor = parts.hasTensor;
    this.reader = parts.reader;
    this.onProgress = parts.options.onProgress;
  }

  /**
   * Opens a GGUF file, a Hugging Face folder, or a safetensors file in one.
   * @throws WeightsError when it is damaged, hostile, or of a kind that is not supported
   */
  static async open(path: string, options: OpenOptions): Promise<LanguageModel> {
    const source = await openWeights(path);
    try {
      const name = options.name ?? path;
      const parts =
        source.format === 'gguf' ? ggufParts(source, path) : await folderParts(source, path);
      const key = await preparedKey(source, parts.config);
      return new LanguageModel({ name, options, key, source, ...parts });
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** The weights as graphs see them. */
  async weights(precision: Precision = 'float32'): Promise<Weights> {
    const float32 = await this.file('float32');
    if (precision === 'float32') return weightsOf(this.config, float32);
    const file = await this.file(precision);
    return weightsOf(
      this.config,
      float32,
      precision === 'int8' ? { int8: file } : { blocks: file },
    );
  }

  /** Emits and loads a program over this model's weights. */
  async load(
    outputs: Readonly<Record<string, Tensor>>,
    options: { prepack?: boolean } = {},
  ): Promise<Executable> {
    return this.engine.load(emitProgram(outputs), { folder: this.folder, ...options });
  }

  async close(): Promise<void> {
    await this.source.close();
  }

  private file(precision: Precision): Promise<PreparedFile> {
    let file = this.prepared.get(precision);
    if (!file) {
      const { onProgress } = this;
      const prepare = () => this.preparation(precision);
      file = openPrepared(this.folder, precision, { prepare, onProgress });
      this.prepared.set(precision, file);
    }
    return file;
  }

  private async preparation(precision: Precision): Promise<Preparation> {
    const specs = this.architecture.weights(this.config, this.hasTensor);
    const { reader } = this;
    if (precision === 'float32') {
      return { total: specs.length, tensors: () => float32Tensors(specs, reader) };
    }
    if (precision === 'int8-blocks') {
      return { total: blockTensorCount(specs), tensors: () => blockTensors(specs, reader) };
    }
    const maxima = await calibrate(this);
    return { total: int8TensorCount(specs), tensors: () => int8Tensors(specs, reader, maxima) };
  }
}

const MAX_CONFIG = 2 ** 24;

interface ModelParts {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  readonly reader: WeightReader;
  readonly hasTensor: (name: string) => boolean;
}

function ggufParts(source: WeightFile, path: string): ModelParts {
  const config = configFromGguf(source.metadata, path, (stored) => source.tensors.has(stored));
  return { config, ...ggufReader(source, config), tokenizer: tokenizerFromGguf(source.metadata) };
}

async function folderParts(source: WeightFile, path: string): Promise<ModelParts> {
  const folder = (await stat(path)).isDirectory() ? path : dirname(path);
  return {
    config: configFromJson(await readConfig(folder), join(folder, 'config.json')),
    hasTensor: (stored) => source.tensors.has(stored),
    reader: (stored) => source.read(stored),
    tokenizer: await loadTokenizerFolder(folder),
  };
}

async function readConfig(folder: string): Promise<Record<string, unknown>> {
  const path = join(folder, 'config.json');
  let reason = 'it is not an object';
  try {
    const { size } = await stat(path);
    if (size > MAX_CONFIG) reason = `it has ${size} bytes`;
    else {
      const value: unknown = JSON.parse(await readFile(path, 'utf8'));
      if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
        return value as Record<string, unknown>;
      }
    }
  } catch (error) {
    reason = (error as Error).message;
  }
  throw new WeightsError(`${path}: expected the model's configuration as JSON (${reason})`);
}
