/** What a run works with where the task LM is asked in text: models behind `TextModel`, task, metric. */
import { AnswerMemory, GradedAnswers, requestOf, TextEnvironment } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { DEFAULT_MODEL } from '../models/model-registry.ts';
import type { Precision } from '../models/prepared-weights.ts';
import { isFailure, type LedgerLine, type TextModel } from '../providers/index.ts';
import {
  answeredInText,
  isTextTask,
  labelMatch,
  loadTask,
  loadTextTask,
  type MessageValues,
  parseMessageTemplate,
  type TextExample,
  type TextTask,
} from '../tasks/index.ts';
import {
  type MetricDefinition,
  type MetricName,
  metricOf,
  metrics,
} from '../tasks/metrics/index.ts';
import type { Metric } from '../tasks/metrics/metric.ts';
import {
  type Bench,
  type ChoiceLimits,
  choiceLimits,
  type EnvironmentWith,
  type OpenOptions,
} from './bench.ts';
import type { LoadedConfig } from './config.ts';
import { isRemote, localName, nameOf } from './model-reference.ts';
import { type TextModels, textModels } from './open-text-model.ts';

/** What benches of the same models have in common. */
interface Shared {
  readonly models: TextModels;
  /** In float32 and in the search's precision; behind an API they are one. */
  readonly taskLms: { readonly float32: TextModel; readonly search: TextModel };
  memory: AnswerMemory;
  /** Where answers are label words. */
  graded: GradedAnswers | undefined;
}

export class TextBench implements Bench {
  readonly lmKind = 'text';
  readonly choice: ChoiceLimits = choiceLimits.text;
  readonly task: TextTask;
  readonly taskLm: TextModel;
  private readonly metric: Metric;
  private readonly shared: Shared;
  private readonly loaded: LoadedConfig;
  private readonly options: OpenOptions;
  readonly policyLm: (() => Promise<LanguageModel>) | undefined;
  private warned = 0;

  private constructor(
    parts: { task: TextTask; metric: Metric; shared: Shared },
    loaded: LoadedConfig,
    options: OpenOptions,
  ) {
    this.task = parts.task;
    this.metric = parts.metric;
    this.shared = parts.shared;
    this.taskLm = parts.shared.taskLms.float32;
    this.loaded = loaded;
    this.options = options;
    const { policyLm: writer } = loaded.config;
    if (!isRemote(writer)) {
      this.policyLm = () => this.shared.models.openLm(localName(writer, 'policyLm'));
    }
  }

  /** Data is read before any model, so that a mistake in it shows at once. */
  static async open(loaded: LoadedConfig, options: OpenOptions): Promise<TextBench> {
    const { config } = loaded;
    refuseFluency(config);
    const task = await readTask(loaded, config.task);
    const models = textModels(loaded, options);
    try {
      const { search } = config.precision;
      const float32 = await models.open(config.taskLm, 'task');
      const rough = await models.open(config.taskLm, 'task', search);
      const shared = {
        models,
        taskLms: { float32, search: rough },
        memory: new AnswerMemory(),
        graded: gradedBy(task, options),
      };
      const metric = await openMetric(task, { loaded, models, taskLm: float32 });
      return new TextBench({ task, metric, shared }, loaded, options);
    } catch (error) {
      await models.close();
      throw error;
    }
  }

  get folder(): string {
    return this.loaded.folder;
  }

  get metricName(): string {
    return this.metric.name;
  }

  get ledger(): LedgerLine {
    return this.shared.models.ledger.line();
  }

  putAside(part: { readonly tokens: number; readonly usd: number }): () => void {
    return this.shared.models.ledger.putAside(part);
  }

  forget(): void {
    this.shared.memory = new AnswerMemory();
    this.shared.graded = gradedBy(this.task, this.options);
  }

  get isAlive(): boolean {
    return this.shared.models.isAlive;
  }

  environment(
    examples: readonly TextExample[],
    precision: Precision,
    { template, examplesPerPass, together }: EnvironmentWith = {},
  ): TextEnvironment {
    const task =
      template === undefined
        ? this.task
        : { ...this.task, template: parseMessageTemplate(template) };
    return new TextEnvironment({
      task,
      taskLm: this.taskLmIn(precision),
      metric: this.metric,
      examples,
      memory: this.shared.memory,
      graded: this.shared.graded,
      ...(examplesPerPass === undefined ? {} : { blockSize: examplesPerPass }),
      together,
      signal: this.options.signal,
      onFailures: (failures) => this.tell(failures),
    });
  }

  /**
   * The task LM's answer to one request, as every example is asked.
   * @throws what ails the request
   */
  async answer(values: MessageValues): Promise<string> {
    const [answer] = await this.taskLm.complete([requestOf(this.task, values)], {
      signal: this.options.signal,
    });
    if (isFailure(answer!)) throw answer.error;
    return answer!.text;
  }

  tokensOf(): readonly number[] {
    return [];
  }

  writer(): Promise<TextModel> {
    return this.shared.models.open(this.loaded.config.policyLm, 'reflection');
  }

  async with(data: LoadedConfig['config']['task']): Promise<TextBench> {
    const loaded = { ...this.loaded, config: { ...this.loaded.config, task: data } };
    const task = await readTask(loaded, data);
    const metric = await openMetric(task, {
      loaded,
      models: this.shared.models,
      taskLm: this.taskLm,
    });
    return new TextBench({ task, metric, shared: this.shared }, loaded, this.options);
  }

  async unload(precision: Precision): Promise<void> {
    // Frees programs alone; the next request loads them anew.
    if (!isRemote(this.loaded.config.taskLm)) await this.taskLmIn(precision).close();
  }

  close(): Promise<void> {
    return this.shared.models.close();
  }

  private taskLmIn(precision: Precision): TextModel {
    const { float32, search } = this.shared.taskLms;
    return precision === 'float32' ? float32 : search;
  }

  /** The first failures by name; a log of hundreds would hide them. */
  private tell(failures: readonly { readonly message: string }[]): void {
    this.warned += failures.length;
    if (this.warned - failures.length >= 10) return;
    const [first] = failures as [{ message: string }];
    const others = failures.length > 1 ? ` (and ${failures.length - 1} more)` : '';
    const message = `an example has no score, it is left out and not counted as wrong${others}: ${first.message}`;
    this.options.onWarning?.(message);
  }
}

function gradedBy({ labelWords }: TextTask, { onWarning }: OpenOptions): GradedAnswers | undefined {
  return labelWords && new GradedAnswers(labelWords, (message) => onWarning?.(message));
}

/** The configured task as one that is answered in text. */
export async function readTask(
  { folder, config }: LoadedConfig,
  data: LoadedConfig['config']['task'],
): Promise<TextTask> {
  const reading = { baseFolder: folder, seed: config.seed };
  if (isTextTask(data)) return loadTextTask(data, reading);
  return answeredInText(await loadTask(data, reading), data);
}

async function openMetric(
  task: TextTask,
  { loaded, models, taskLm }: { loaded: LoadedConfig; models: TextModels; taskLm: TextModel },
): Promise<Metric> {
  if (task.labelWords) return labelMatch(task.labelWords);
  const { folder, config } = loaded;
  const { metric = 'exact' } = task;
  const { name, model }: { name: MetricName; model?: string | undefined } =
    typeof metric === 'string' ? { name: metric } : metric;
  const { needs = [] }: Pick<MetricDefinition, 'needs'> = metrics[name];
  const judge = needs.includes('judge') && model ? await models.open(model, 'judge') : undefined;
  const embed = needs.includes('embed')
    ? await models.embed(localName(model ?? `local:${DEFAULT_MODEL}`, 'metric.model'))
    : undefined;
  const writer = nameOf(config.policyLm).replace(/^local:/, '');
  const proposers = [taskLm, { name: writer, key: writer }];
  return metricOf(metric, { folder, judge, embed, proposers });
}

function refuseFluency({ fluency, taskLm }: LoadedConfig['config']): void {
  if (fluency.weight === 0 && fluency.maxPerplexity === undefined) return;
  throw new ConfigError(
    `fluency: has no price where the task LM is asked in text (${nameOf(taskLm)}); remove fluency from the configuration`,
  );
}
