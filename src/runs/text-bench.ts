/** What a run works with where the task LM is asked in text: models behind `TextModel`, task, metric. */
import {
  AnswerMemory,
  type Charge,
  GradedAnswers,
  requestOf,
  TextEnvironment,
} from '../environment/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { DEFAULT_MODEL } from '../models/model-registry.ts';
import type { Precision } from '../models/prepared-weights.ts';
import { describeTask, FluencyMeter, fluencyCharge, policyContextTokens } from '../policy/index.ts';
import {
  isFailure,
  type LedgerLine,
  type Paid,
  type Role,
  type TextModel,
  type Totals,
} from '../providers/index.ts';
import { excerpt } from '../tasks/excerpt.ts';
import {
  type AnswerReward,
  answeredInText,
  answerReward,
  type ComposedRewardOptions,
  isTextTask,
  labelMatch,
  loadTask,
  loadTextTask,
  type MessageValues,
  type MetricConfig,
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
import { isRemote, localName, type ModelReference, nameOf } from './model-reference.ts';
import { type TextModels, textModels } from './open-text-model.ts';
import { compositionOf, hasFluencyPrice, refuseMisfit, rewardMetrics } from './reward.ts';

/** What benches of the same models have in common. */
interface Shared {
  readonly models: TextModels;
  /** In float32 and in the search's precision; behind an API they are one. */
  readonly taskLms: { readonly float32: TextModel; readonly search: TextModel };
  memory: AnswerMemory;
  /** Where answers are label words. */
  graded: GradedAnswers | undefined;
  /** Whether it was said that the task LM refused to answer. */
  refused?: boolean;
}

export class TextBench implements Bench {
  readonly lmKind = 'text';
  readonly choice: ChoiceLimits = choiceLimits.text;
  readonly task: TextTask;
  readonly taskLm: TextModel;
  private readonly metric: Metric;
  private readonly composed: AnswerReward | undefined;
  private readonly shared: Shared;
  private readonly loaded: LoadedConfig;
  private readonly options: OpenOptions;
  readonly policyLm: (() => Promise<LanguageModel>) | undefined;
  private meter: Promise<FluencyMeter> | undefined;
  private warned = 0;

  private constructor(
    parts: { task: TextTask; metric: Metric; composed: AnswerReward | undefined; shared: Shared },
    loaded: LoadedConfig,
    options: OpenOptions,
  ) {
    this.task = parts.task;
    this.metric = parts.metric;
    this.composed = parts.composed;
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
    refuseMisfit(config, true);
    const task = await readTask(loaded, config.task);
    const models = textModels(loaded, options);
    try {
      const { search } = config.precision;
      const float32 = await models.open(config.taskLm, 'task');
      const rough = await models.open(config.taskLm, 'task', search);
      const shared: Shared = {
        models,
        taskLms: { float32, search: rough },
        memory: new AnswerMemory(),
        graded: gradedBy(task, options),
      };
      const judges = await openJudges(task, { loaded, models, taskLm: float32 });
      return new TextBench({ task, ...judges, shared }, loaded, options);
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

  get taskCalls(): number {
    return this.shared.models.ledger.line('task').calls;
  }

  get spent(): Totals {
    return this.shared.models.ledger.spent;
  }

  spentBefore(part: Totals): void {
    this.shared.models.ledger.spentBefore(part);
  }

  paidBefore(part: Totals): void {
    this.shared.models.ledger.paidBefore(part);
  }

  payAgain(role: Role, paid: Paid): void {
    this.shared.models.ledger.again(role, paid);
  }

  putAside(part: Totals): () => void {
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
    { template, examplesPerPass, together, reserve, signal }: EnvironmentWith = {},
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
      composed: this.composed,
      charge: this.charge,
      ...(examplesPerPass === undefined ? {} : { blockSize: examplesPerPass }),
      together,
      reserve,
      signal: signal ?? this.options.signal,
      onFailures: (failures) => this.tell(failures),
      onRefusals: (texts, of) => this.tellRefusals(texts, of),
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

  /** The price of fluency under the policy LM, where it has one. */
  private get charge(): Charge | undefined {
    const { config } = this.loaded;
    if (!hasFluencyPrice(config)) return undefined;
    const { task } = this;
    const open = async () => {
      const lm = await this.policyLm!();
      const maxTokens = policyContextTokens(lm);
      const context = describeTask(task, { tokenizer: lm.tokenizer, maxTokens });
      return FluencyMeter.open(lm, { context });
    };
    const meter = () => {
      this.meter ??= open();
      return this.meter;
    };
    return fluencyCharge(meter, config.fluency, this.options.journal);
  }

  writer(): Promise<TextModel> {
    return this.shared.models.open(this.loaded.config.policyLm, 'reflection');
  }

  async with(data: LoadedConfig['config']['task']): Promise<TextBench> {
    const loaded = { ...this.loaded, config: { ...this.loaded.config, task: data } };
    const task = await readTask(loaded, data);
    const { shared, taskLm } = this;
    const judges = await openJudges(task, { loaded, models: shared.models, taskLm });
    return new TextBench({ task, ...judges, shared }, loaded, this.options);
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

  /** Once a run: a prompt that makes the task LM decline is worth what its answers are worth. */
  private tellRefusals(texts: readonly string[], of: number): void {
    if (this.shared.refused) return;
    this.shared.refused = true;
    const said = texts[0] === '' ? '' : ` ("${excerpt(texts[0]!)}")`;
    this.options.onWarning?.(
      `${this.taskLm.name} refused to answer ${texts.length} of ${of} questions${said}; a refusal is judged like any other answer`,
    );
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

/** The configured task as one that is answered in text, whose golds the metrics can judge by. */
export async function readTask(
  { folder, config }: LoadedConfig,
  data: LoadedConfig['config']['task'],
): Promise<TextTask> {
  const reading = { baseFolder: folder, seed: config.seed };
  const judgedBy = rewardMetrics(config);
  if (isTextTask(data)) return loadTextTask(data, { ...reading, judgedBy });
  const task = answeredInText(await loadTask(data, reading), data);
  for (const metric of judgedBy) await checkWords(task, metric, folder);
  return task;
}

/** @throws ConfigError where a metric cannot judge by a label word */
async function checkWords(task: TextTask, config: MetricConfig, folder: string): Promise<void> {
  if (needsOf(config).length > 0) return;
  const metric = await metricOf(config, { folder });
  metric.check?.(task.labelWords!, 'task.labels');
}

interface Opening {
  readonly loaded: LoadedConfig;
  readonly models: TextModels;
  readonly taskLm: TextModel;
}

/** The task's own metric, and the reward where that is composed; what is named twice is opened once. */
async function openJudges(
  task: TextTask,
  opening: Opening,
): Promise<{ metric: Metric; composed: AnswerReward | undefined }> {
  const opened = new Map<string, Promise<Metric>>();
  const open = (config: MetricConfig) => {
    const key = JSON.stringify(typeof config === 'string' ? { name: config } : config);
    const metric = opened.get(key) ?? openMetric(config, opening).then((one) => tried(one, task));
    opened.set(key, metric);
    return metric;
  };
  const { labelWords, metric: configured = 'exact' } = task;
  const metric = labelWords ? labelMatch(labelWords) : await open(configured);
  const options = compositionOf(opening.loaded.config);
  if (!options) return { metric, composed: undefined };
  const { metrics: named = [], format } = options;
  const composed = answerReward({
    options,
    own: metric,
    metrics: await Promise.all(named.map((one) => open(one.metric))),
    format: format && (await open(format.metric)),
    promptTokens: await promptTokensOf(options, opening),
  });
  return { metric, composed };
}

/**
 * A metric that has judged gold answers, if it is a function: one that can judge nothing would be noticed
 * after a whole batch was paid. @throws ConfigError as it does for ten answers in a row
 */
async function tried(metric: Metric, { train }: TextTask): Promise<Metric> {
  if (metric.name !== 'function') return metric;
  const some = train.slice(0, 10);
  await metric.score(some.map(({ input, golds }) => ({ input, golds, output: golds[0]! })));
  return metric;
}

/** Counts a prompt's tokens, where they have a price, as the task LM in this process reads them. */
async function promptTokensOf({ length }: ComposedRewardOptions, { loaded, models }: Opening) {
  if (length?.of !== 'prompt' || length.unit !== 'tokens') return undefined;
  const { tokenizer } = await models.openLm(localName(loaded.config.taskLm, 'taskLm'));
  return (prompt: string) => tokenizer.encode(prompt).length;
}

async function openMetric(
  metric: MetricConfig,
  { loaded, models, taskLm }: Opening,
): Promise<Metric> {
  const { folder, config } = loaded;
  const { model } = (typeof metric === 'string' ? {} : metric) as { model?: ModelReference };
  const needs = needsOf(metric);
  const judge = needs.includes('judge') && model ? await models.open(model, 'judge') : undefined;
  const embed = needs.includes('embed')
    ? await models.embed(localName(model ?? `local:${DEFAULT_MODEL}`, 'metric.model'))
    : undefined;
  const writer = nameOf(config.policyLm).replace(/^local:/, '');
  const proposers = [taskLm, { name: writer, key: writer }];
  return metricOf(metric, { folder, judge, embed, proposers });
}

function needsOf(metric: MetricConfig): readonly ('embed' | 'judge')[] {
  const name: MetricName = typeof metric === 'string' ? metric : metric.name;
  const { needs = [] }: Pick<MetricDefinition, 'needs'> = metrics[name];
  return needs;
}
