/** What a run works with, opened from a configuration: engine, language models, task. */
import { Environment, type Layout, layoutOf, TaskLmPrograms } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Precision } from '../models/prepared-weights.ts';
import { actionSpaceOf, describeTask, Policy, type PolicyOptions } from '../policy/index.ts';
import { type Example, loadTask, parseTemplate, rewards, type Task } from '../tasks/index.ts';
import { Engine } from '../tensor/index.ts';
import type { OnProgress } from '../util/progress.ts';
import type { Rng } from '../util/rng.ts';
import type { LoadedConfig } from './config.ts';
import { openModel } from './open-model.ts';

/** Tokens of a policy's window that are made use of; the other half is for what it writes. */
const MAX_CONTEXT = 2048;

export interface OpenOptions {
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export class Workbench {
  readonly task: Task;
  readonly taskLm: LanguageModel;
  private readonly engine: Engine;
  private readonly loaded: LoadedConfig;
  private readonly options: OpenOptions;
  private policyLm: LanguageModel | undefined;
  private readonly programs = new Map<Precision, TaskLmPrograms>();

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
      const taskLm = await openModel(config.taskLm, { ...options, engine, base: folder });
      const { kind } = taskLm.config;
      const task =
        kind === 'masked' ? await loadTask(config.task, { ...reading, taskLm: kind }) : first;
      return new Workbench({ task, taskLm, engine }, loaded, options);
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /**
   * An environment over some examples, under the task's template or another; with `once`, nothing is
   * kept for a second pass.
   */
  environment(
    examples: readonly Example[],
    precision: Precision,
    { once = false, template }: { once?: boolean; template?: string | undefined } = {},
  ): Environment {
    return new Environment({
      task: this.taskWith(template),
      taskLm: this.taskLm,
      examples,
      precision,
      reward: rewards[this.loaded.config.reward],
      programs: this.programsOf(precision),
      ...(once ? { cacheBytes: 0, examplesPerPass: 16 } : {}),
    });
  }

  /** How a template divides rendered texts: the task's own, or another. */
  layout(template?: string): Layout {
    const { config, tokenizer } = this.taskLm;
    return layoutOf(this.taskWith(template), config.kind, tokenizer);
  }

  private taskWith(template: string | undefined): Task {
    return template === undefined ? this.task : { ...this.task, template: parseTemplate(template) };
  }

  /** A fresh policy that reads the task's description. */
  async policy(options: Omit<PolicyOptions, 'rng'>, rng: Rng): Promise<Policy> {
    const { policyLm: name, taskLm } = this.loaded.config;
    const base = this.loaded.folder;
    this.policyLm ??=
      name === taskLm
        ? this.taskLm
        : await openModel(name, { ...this.options, engine: this.engine, base });
    const { config, tokenizer } = this.policyLm;
    if (config.kind === 'masked') {
      throw new ConfigError(
        `policyLm: ${name} is a masked LM and does not write from left to right, take a causal one`,
      );
    }
    const actions = actionSpaceOf(tokenizer);
    const maxTokens = Math.floor(Math.min(config.contextLength, MAX_CONTEXT) / 2);
    const context = describeTask(this.task, { tokenizer, maxTokens });
    return Policy.create(this.policyLm, actions, context, { ...options, rng });
  }

  /** Frees what one precision needed. */
  async unload(precision: Precision): Promise<void> {
    await this.programs.get(precision)?.unload();
    this.programs.delete(precision);
  }

  private programsOf(precision: Precision): TaskLmPrograms {
    let programs = this.programs.get(precision);
    if (!programs) {
      programs = new TaskLmPrograms(this.taskLm, { precision });
      this.programs.set(precision, programs);
    }
    return programs;
  }

  async close(): Promise<void> {
    await this.taskLm.close();
    if (this.policyLm !== this.taskLm) await this.policyLm?.close();
    await this.engine.close();
  }
}
