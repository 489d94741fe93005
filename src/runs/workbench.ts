/** What a run works with where the task LM is open: engine, language models, task. */
import { Environment, type Layout, layoutOf, TaskLmPrograms } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import {
  bestLabelWords,
  type LmKind,
  ordinaryPrompt,
  type SolutionContext,
} from '../methods/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Precision } from '../models/prepared-weights.ts';
import {
  actionSpaceOf,
  describeTask,
  FluencyMeter,
  fluencyCharge,
  Policy,
  type PolicyOptions,
  policyContextTokens,
} from '../policy/index.ts';
import type { LedgerLine, TextModel } from '../providers/index.ts';
import { type Example, loadTask, parseTemplate, type Task } from '../tasks/index.ts';
import { Engine } from '../tensor/index.ts';
import type { Rng } from '../util/rng.ts';
import {
  type Bench,
  type ChoiceLimits,
  choiceLimits,
  type EnvironmentWith,
  type OpenOptions,
} from './bench.ts';
import type { LoadedConfig } from './config.ts';
import { nothingAsked } from './ledger.ts';
import { localName } from './model-reference.ts';
import { openModel } from './open-model.ts';
import { type TextModels, textModels } from './open-text-model.ts';
import {
  hasFluencyPrice,
  labelComposition,
  labelReward,
  refuseMisfit,
  tensorReward,
} from './reward.ts';

/** What workbenches of the same models have in common. */
interface Shared {
  readonly engine: Engine;
  readonly taskLm: LanguageModel;
  readonly programs: Map<Precision, TaskLmPrograms>;
  policyLm?: LanguageModel;
  /** Models that are asked in text, once one is. */
  texts?: TextModels;
}

export class Workbench implements Bench {
  readonly choice: ChoiceLimits = choiceLimits.logits;
  readonly task: Task;
  readonly taskLm: LanguageModel;
  private readonly shared: Shared;
  private readonly loaded: LoadedConfig;
  private readonly options: OpenOptions;
  private meter: Promise<FluencyMeter> | undefined;

  private constructor(
    parts: { task: Task; shared: Shared },
    loaded: LoadedConfig,
    options: OpenOptions,
  ) {
    this.task = parts.task;
    this.shared = parts.shared;
    this.taskLm = parts.shared.taskLm;
    this.loaded = loaded;
    this.options = options;
  }

  /** Data is read before any model, so that a mistake in it shows at once. */
  static async open(loaded: LoadedConfig, options: OpenOptions): Promise<Workbench> {
    const { config, folder } = loaded;
    refuseMisfit(config, false);
    const reading = { baseFolder: folder, seed: config.seed };
    // The kind of the task LM chooses the default template; a data mistake must not wait for it.
    const first = await loadTask(config.task, reading);
    const engine = new Engine({ device: config.device });
    try {
      const taskLm = await openModel(localName(config.taskLm, 'taskLm'), {
        ...options,
        engine,
        base: folder,
      });
      const { kind } = taskLm.config;
      const task =
        kind === 'masked' ? await loadTask(config.task, { ...reading, taskLm: kind }) : first;
      const shared: Shared = { engine, taskLm, programs: new Map() };
      return await new Workbench({ task, shared }, loaded, options).withLabelWords();
    } catch (error) {
      await engine.close();
      throw error;
    }
  }

  /** One for other data with the same models and programs; closing either closes both. */
  async with(data: LoadedConfig['config']['task']): Promise<Workbench> {
    const { config, folder } = this.loaded;
    const reading = { baseFolder: folder, seed: config.seed, taskLm: this.taskLm.config.kind };
    const task = await loadTask(data, reading);
    const loaded = { ...this.loaded, config: { ...config, task: data } };
    const bench = new Workbench({ task, shared: this.shared }, loaded, this.options);
    return bench.withLabelWords();
  }

  /** This, or one whose label words were found from the train examples, if that is asked for. */
  private async withLabelWords(): Promise<Workbench> {
    const { task, shared, loaded, options } = this;
    if (loaded.config.labelWords === 'given') return this;
    options.onProgress?.({ phase: 'looking for label words', done: 0, unit: '' });
    const train = this.environment(task.train, 'float32', { once: true });
    const words = await bestLabelWords(train, ordinaryPrompt(task));
    await train.close();
    const classes = task.classes.map((one, c) => ({ ...one, word: words[c]! }));
    const changes = classes.map(({ word }, c) => `"${word}" for ${task.classes[c]!.word}`);
    const warning = `label words found from the train examples: ${changes.join(', ')}`;
    const found = { ...task, classes, warnings: [...task.warnings, warning] };
    return new Workbench({ task: found, shared }, loaded, options);
  }

  get lmKind(): LmKind {
    return this.taskLm.config.kind;
  }

  /** False when nothing can be computed any more. */
  get isAlive(): boolean {
    return !this.shared.engine.hasFailed;
  }

  /**
   * An environment over some examples, under the task's template or another; with `once`, nothing is
   * kept for a second pass.
   */
  environment(
    examples: readonly Example[],
    precision: Precision,
    { once = false, template, examplesPerPass, together, signal }: EnvironmentWith = {},
  ): Environment {
    return new Environment({
      task: this.taskWith(template),
      taskLm: this.taskLm,
      examples,
      precision,
      reward: labelReward(this.loaded.config),
      compose: labelComposition(this.loaded.config),
      programs: this.programsOf(precision),
      ...this.charge,
      ...(this.options.journal ? { recorder: this.options.journal } : {}),
      ...(examplesPerPass === undefined ? {} : { examplesPerPass }),
      ...(together === undefined ? {} : { together }),
      signal,
      ...(once ? { cacheBytes: 0, examplesPerPass: 16 } : {}),
    });
  }

  /** Paths in the configuration are relative to this folder. */
  get folder(): string {
    return this.loaded.folder;
  }

  /** How a template divides rendered texts: the task's own, or another. */
  layout(template?: string): Layout {
    const { config, tokenizer } = this.taskLm;
    return layoutOf(this.taskWith(template), config.kind, tokenizer);
  }

  tokensOf(text: string, template?: string): readonly number[] {
    return this.layout(template).prompt(text);
  }

  get ledger(): LedgerLine {
    return this.shared.texts?.ledger.line() ?? nothingAsked;
  }

  async writer(): Promise<TextModel> {
    this.shared.texts ??= textModels(this.loaded, {
      ...this.options,
      openLocal: () => this.policyLm(),
    });
    return this.shared.texts.open(this.loaded.config.policyLm, 'reflection');
  }

  private taskWith(template: string | undefined): Task {
    return template === undefined ? this.task : { ...this.task, template: parseTemplate(template) };
  }

  /** What a tensor needs to be scored. */
  get solutionContext(): SolutionContext {
    return {
      task: this.task,
      taskLm: this.taskLm,
      reward: tensorReward(this.loaded.config),
      policyLm: () => this.policyLm(),
      scorer: (examples) =>
        this.environment(examples as readonly Example[], 'float32', { once: true }),
    };
  }

  /** A fresh policy that reads the task's description. */
  async policy(options: Omit<PolicyOptions, 'rng'>, rng: Rng): Promise<Policy> {
    const lm = await this.policyLm();
    if (lm.config.kind === 'masked') {
      throw new ConfigError(
        `policyLm: ${lm.name} is a masked LM and does not write from left to right, take a causal one`,
      );
    }
    const actions = actionSpaceOf(lm.tokenizer);
    return Policy.create(lm, actions, await this.policyContext(), { ...options, rng });
  }

  /** What a policy reads before it writes. */
  async policyContext(): Promise<string> {
    const lm = await this.policyLm();
    const maxTokens = policyContextTokens(lm);
    return describeTask(this.task, { tokenizer: lm.tokenizer, maxTokens });
  }

  /** Tells how likely texts are under the policy LM, after what a policy reads. */
  fluency(): Promise<FluencyMeter> {
    const open = async () =>
      FluencyMeter.open(await this.policyLm(), { context: await this.policyContext() });
    this.meter ??= open();
    return this.meter;
  }

  /** The price of fluency, where it has one. */
  private get charge() {
    const { config } = this.loaded;
    if (!hasFluencyPrice(config)) return {};
    return { charge: fluencyCharge(() => this.fluency(), config.fluency, this.options.journal) };
  }

  /** The LM that writes prompts, opened when it is first needed. */
  async policyLm(): Promise<LanguageModel> {
    const { shared, options } = this;
    const { policyLm: name, taskLm } = this.loaded.config;
    const base = this.loaded.folder;
    shared.policyLm ??=
      name === taskLm
        ? this.taskLm
        : await openModel(localName(name, 'policyLm'), { ...options, engine: shared.engine, base });
    return shared.policyLm;
  }

  async prepare(precision: Precision): Promise<void> {
    await this.taskLm.weights(precision);
  }

  /** Frees what one precision needed. */
  async unload(precision: Precision): Promise<void> {
    await this.shared.programs.get(precision)?.unload();
    this.shared.programs.delete(precision);
  }

  private programsOf(precision: Precision): TaskLmPrograms {
    let programs = this.shared.programs.get(precision);
    if (!programs) {
      programs = new TaskLmPrograms(this.taskLm, { precision });
      this.shared.programs.set(precision, programs);
    }
    return programs;
  }

  async close(): Promise<void> {
    const { engine, policyLm, texts } = this.shared;
    await texts?.close();
    await this.taskLm.close();
    if (policyLm !== this.taskLm) await policyLm?.close();
    await engine.close();
  }
}
