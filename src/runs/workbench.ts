/** What a run works with, opened from a configuration: engine, language models, task. */
import { join } from 'node:path';
import type { Environment } from '../environment/index.ts';
import { Environment as PromptEnvironment } from '../environment/index.ts';
import { searchKeepsFloat } from '../environment/precision.ts';
import { LanguageModel } from '../models/language-model.ts';
import { modelFolder, resolveModel } from '../models/model-store.ts';
import type { Precision } from '../models/prepared-weights.ts';
import { actionSpaceOf, describeTask, Policy, type PolicyOptions } from '../policy/index.ts';
import { type Example, loadTask, rewards, type Task } from '../tasks/index.ts';
import { Engine } from '../tensor/index.ts';
import type { OnProgress } from '../util/progress.ts';
import type { Rng } from '../util/rng.ts';
import type { LoadedConfig } from './config.ts';

export interface OpenOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Opens a language model by name or path. @throws WhetstoneError as the model store and readers do */
export async function openModel(
  name: string,
  engine: Engine,
  { onProgress, signal, base }: OpenOptions & { base?: string },
): Promise<LanguageModel> {
  const resolved = await resolveModel(name, { onProgress, signal, base });
  return LanguageModel.open(resolved.weights ?? resolved.path, {
    engine,
    cacheFolder: join(modelFolder(), 'prepared'),
    name: resolved.name,
    ...(onProgress ? { onProgress } : {}),
  });
}

export class Workbench {
  readonly task: Task;
  readonly taskLm: LanguageModel;
  private readonly engine: Engine;
  private readonly loaded: LoadedConfig;
  private readonly options: OpenOptions;
  private policyLm: LanguageModel | undefined;

  private constructor(
    parts: { task: Task; taskLm: LanguageModel; engine: Engine },
    loaded: LoadedConfig,
    options: OpenOptions,
  ) {
    this.task = parts.task;
    this.taskLm = parts.taskLm;
    this.engine = parts.engine;
    this.loaded = loaded;
    this.options = options;
  }

  /** Data is read before any model, so that a mistake in it shows at once. */
  static async open(loaded: LoadedConfig, options: OpenOptions): Promise<Workbench> {
    const { config, folder } = loaded;
    const reading = { baseFolder: folder, seed: config.seed };
    // The kind of the task LM chooses the default template; a data mistake must not wait for it.
    const first = await loadTask(config.task, reading);
    const engine = new Engine({ device: config.device });
    try {
      const taskLm = await openModel(config.taskLm, engine, { ...options, base: folder });
      const { kind } = taskLm.config;
      const task =
        kind === 'masked' ? await loadTask(config.task, { ...reading, taskLm: kind }) : first;
      return new Workbench({ task, taskLm, engine }, loaded, options);
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /** An environment over some examples. */
  environment(examples: readonly Example[], precision: Precision): Environment {
    return new PromptEnvironment({
      task: this.task,
      taskLm: this.taskLm,
      examples,
      precision,
      reward: rewards[this.loaded.config.reward],
      keepFloat: searchKeepsFloat,
    });
  }

  /** A fresh policy that reads the task's description. */
  async policy(options: Omit<PolicyOptions, 'rng'>, rng: Rng): Promise<Policy> {
    const { policyLm: name, taskLm } = this.loaded.config;
    const base = this.loaded.folder;
    this.policyLm ??=
      name === taskLm ? this.taskLm : await openModel(name, this.engine, { ...this.options, base });
    const actions = actionSpaceOf(this.policyLm.tokenizer);
    return Policy.create(this.policyLm, actions, describeTask(this.task), { ...options, rng });
  }

  async close(): Promise<void> {
    await this.taskLm.close();
    if (this.policyLm !== this.taskLm) await this.policyLm?.close();
    await this.engine.close();
  }
}
