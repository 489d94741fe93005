/** What a run works with where the task LM is asked in text: models behind `TextModel`, task, metric. */
import { AnswerMemory, TextEnvironment } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import type { Precision } from '../models/prepared-weights.ts';
import type { TextModel } from '../providers/text-model.ts';
import {
  answeredInText,
  isTextTask,
  labelMatch,
  loadTask,
  loadTextTask,
  parseMessageTemplate,
  type TextExample,
  type TextTask,
} from '../tasks/index.ts';
import { metricOf } from '../tasks/metrics/index.ts';
import type { Metric } from '../tasks/metrics/metric.ts';
import type { Bench, ChoiceLimits, EnvironmentWith, OpenOptions } from './bench.ts';
import type { LoadedConfig } from './config.ts';
import { type Ledger, type Role, Tally } from './ledger.ts';
import { nameOf } from './model-reference.ts';
import { textModels } from './open-text-model.ts';

/** What benches of the same models have in common. */
interface Shared {
  readonly open: (reference: LoadedConfig['config']['taskLm'], role: Role) => Promise<TextModel>;
  readonly taskLm: TextModel;
  readonly tally: Tally;
  readonly memory: AnswerMemory;
  writer?: Promise<TextModel>;
  close(): Promise<void>;
}

export class TextBench implements Bench {
  readonly lmKind = 'text';
  readonly isAlive = true;
  /** Every answer takes a second or a cent. */
  readonly choice: ChoiceLimits = { evaluations: 2048, trainExamples: 256, finalists: 6 };
  readonly task: TextTask;
  readonly taskLm: TextModel;
  private readonly metric: Metric;
  private readonly shared: Shared;
  private readonly loaded: LoadedConfig;
  private readonly options: OpenOptions;
  private warned = 0;

  private constructor(
    parts: { task: TextTask; metric: Metric; shared: Shared },
    loaded: LoadedConfig,
    options: OpenOptions,
  ) {
    this.task = parts.task;
    this.metric = parts.metric;
    this.shared = parts.shared;
    this.taskLm = parts.shared.taskLm;
    this.loaded = loaded;
    this.options = options;
  }

  /** Data is read before any model, so that a mistake in it shows at once. */
  static async open(loaded: LoadedConfig, options: OpenOptions): Promise<TextBench> {
    const { config } = loaded;
    refuseFluency(config);
    const task = await readTask(loaded, config.task);
    const tally = new Tally();
    const models = textModels(loaded, options);
    try {
      const open: Shared['open'] = async (reference, role) =>
        tally.count(await models.open(reference, role));
      const taskLm = await open(config.taskLm, 'task');
      const shared = { open, taskLm, tally, memory: new AnswerMemory(), close: models.close };
      const metric = await openMetric(task, { loaded, taskLm });
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

  get ledger(): Ledger {
    return this.shared.tally.ledger;
  }

  environment(
    examples: readonly TextExample[],
    _: Precision,
    { template, examplesPerPass }: EnvironmentWith = {},
  ): TextEnvironment {
    const task =
      template === undefined
        ? this.task
        : { ...this.task, template: parseMessageTemplate(template) };
    return new TextEnvironment({
      task,
      taskLm: this.taskLm,
      metric: this.metric,
      examples,
      memory: this.shared.memory,
      ...(examplesPerPass === undefined ? {} : { blockSize: examplesPerPass }),
      signal: this.options.signal,
      onFailures: (failures) => this.tell(failures),
    });
  }

  tokensOf(): readonly number[] {
    return [];
  }

  writer(): Promise<TextModel> {
    this.shared.writer ??= this.shared.open(this.loaded.config.policyLm, 'policy');
    return this.shared.writer;
  }

  async with(data: LoadedConfig['config']['task']): Promise<TextBench> {
    const loaded = { ...this.loaded, config: { ...this.loaded.config, task: data } };
    const task = await readTask(loaded, data);
    const metric = await openMetric(task, { loaded, taskLm: this.taskLm });
    return new TextBench({ task, metric, shared: this.shared }, loaded, this.options);
  }

  async unload(): Promise<void> {}

  close(): Promise<void> {
    return this.shared.close();
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

async function readTask(
  { folder, config }: LoadedConfig,
  data: LoadedConfig['config']['task'],
): Promise<TextTask> {
  const reading = { baseFolder: folder, seed: config.seed };
  if (isTextTask(data)) return loadTextTask(data, reading);
  return answeredInText(await loadTask(data, reading), data);
}

async function openMetric(
  task: TextTask,
  { loaded }: { loaded: LoadedConfig; taskLm: TextModel },
): Promise<Metric> {
  if (task.labelWords) return labelMatch(task.labelWords);
  return metricOf(task.metric, { folder: loaded.folder });
}

function refuseFluency({ fluency, taskLm }: LoadedConfig['config']): void {
  if (fluency.weight === 0 && fluency.maxPerplexity === undefined) return;
  throw new ConfigError(
    `fluency: has no price where the task LM is asked in text (${nameOf(taskLm)}); remove fluency from the configuration`,
  );
}
