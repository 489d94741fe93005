/**
 * What a run would ask for, before anything is sent: calls, tokens, money and time, by role. The data
 * are read and no model is opened. Numbers are estimates from above: every answer as long as allowed,
 * nothing known already; where minutes alone end the search, so many calls as fit into them.
 */
import { ConfigError } from '../errors.ts';
import { humanCandidates, type Method, type PlannedProposals } from '../methods/index.ts';
import {
  costUsd,
  estimateTokens,
  isApiReference,
  type Price,
  parseApiReference,
  priceOf,
  providers,
  type Role,
} from '../providers/index.ts';
import { FREE } from '../providers/prices.ts';
import {
  type AnyExample,
  type AnyTask,
  loadTask,
  renderMessages,
  renderTemplate,
} from '../tasks/index.ts';
import { type ChoiceLimits, choiceLimits } from './bench.ts';
import { callsAfterSearch } from './caps.ts';
import { type Plan, taskOf } from './compare-plan.ts';
import type { LoadedConfig } from './config.ts';
import {
  completedOptions,
  methodOf,
  type OwnMethods,
  refuseSmallBudget,
} from './configured-method.ts';
import { type ModelReference, nameOf } from './model-reference.ts';
import { isAskedInText } from './open-bench.ts';
import { refuseMisfit, rewardMetrics } from './reward.ts';
import { readTask } from './text-bench.ts';

export interface PlannedRole {
  readonly calls: number;
  readonly tokens: number;
  /** Null where the model's price is not known. */
  readonly usd: number | null;
}

export interface CallPlan extends PlannedRole {
  readonly kind: 'plan';
  readonly minutes: number;
  readonly byRole: Readonly<Partial<Record<Role, PlannedRole>>>;
  /** What the numbers take for granted, and what they would run into. */
  readonly notes: readonly string[];
}

/** What one method's run asks for, in calls. */
interface Asked {
  /** Of the task LM, with prompts that people write. */
  readonly before: number;
  /** Of the task LM by the search, whose time is limited. */
  readonly search: number;
  /** Of the task LM with what was found. */
  readonly after: number;
  /** Tokens of the longest prompt that the method may find. */
  readonly promptTokens: number;
  readonly proposals: PlannedProposals | undefined;
}

interface Planned {
  readonly loaded: LoadedConfig;
  readonly task: AnyTask;
  readonly isText: boolean;
  readonly limits: ChoiceLimits;
  readonly notes: Set<string>;
}

/** Answers in text a second that are taken for granted where nothing better is known. */
const LOCAL_PER_SECOND = 2;
/** Label words preferred a second (docs/performance.md). */
const LOGITS_PER_SECOND = 400;
/** Seconds that an API takes for an answer. */
const API_SECONDS = 1;

/** @throws ConfigError and DataError as the run would */
export async function planRun(loaded: LoadedConfig, own: OwnMethods = {}): Promise<CallPlan> {
  const { method, methodOptions } = methodOf(loaded.config, own);
  const planned = await begin(loaded);
  const options = await completedOptions(method, methodOptions, aboutOf(planned));
  refuseSmallBudget([{ method, options }], loaded.config, planned.task);
  return capped(total(planned, [askedBy(planned, method, options)], 1), loaded);
}

/** @throws ConfigError and DataError as the comparison would */
export async function planComparison({ loaded, methods, repetitions }: Plan): Promise<CallPlan> {
  const plans: CallPlan[] = [];
  for (const split of new Set(repetitions.map((repetition) => repetition.split))) {
    const some = repetitions.filter((repetition) => repetition.split === split);
    const task = taskOf(loaded, some[0]!);
    const planned = await begin({ ...loaded, config: { ...loaded.config, task } });
    refuseSmallBudget(methods, loaded.config, planned.task);
    const asked: Asked[] = [];
    for (const { method, options } of methods) {
      asked.push(
        askedBy(planned, method, await completedOptions(method, options, aboutOf(planned))),
      );
    }
    plans.push(total(planned, asked, some.length));
  }
  return capped(plans.reduce(joined), loaded);
}

/** Two plans, one after the other. */
function joined(a: CallPlan, b: CallPlan): CallPlan {
  const roles = [...new Set([...Object.keys(a.byRole), ...Object.keys(b.byRole)])] as Role[];
  const of = (role: Role) => [a, b].flatMap(({ byRole }) => byRole[role] ?? []);
  return {
    kind: 'plan',
    ...sumOf([a, b]),
    minutes: a.minutes + b.minutes,
    byRole: Object.fromEntries(roles.map((role) => [role, sumOf(of(role))])),
    notes: [...new Set([...a.notes, ...b.notes])],
  };
}

/** The plan with what it would run into. */
function capped(plan: CallPlan, { config }: LoadedConfig): CallPlan {
  return { ...plan, notes: [...plan.notes, ...capNotes(plan, config.budget)] };
}

async function begin(loaded: LoadedConfig): Promise<Planned> {
  const { config, folder } = loaded;
  const isText = isAskedInText(loaded);
  refuseMisfit(config, isText);
  const task = isText
    ? await readTask(loaded, config.task)
    : await loadTask(config.task, { baseFolder: folder, seed: config.seed });
  const limits = choiceLimits[isText ? 'text' : 'logits'];
  return { loaded, task, isText, limits, notes: new Set() };
}

const aboutOf = ({ task, loaded: { folder } }: Planned) => ({ task, folder });

function askedBy(planned: Planned, method: Method, options: unknown): Asked {
  const { task, limits } = planned;
  const humans = humanCandidates(task).length;
  const open = Math.min(limits.trainExamples, task.train.length) + task.validation.length;
  const search = searchOf(planned, method, options);
  // A policy or a tensor is scored beside the texts.
  const beside = method.needs?.policyLm ? open : 0;
  return {
    before: humans * open,
    search,
    after: callsAfterSearch(task, limits) + beside,
    promptTokens: longestPrompt(task, options),
    proposals: method.needs?.writer ? method.expectedProposals?.(options, search) : undefined,
  };
}

/** Evaluations of the search itself. */
function searchOf(
  { loaded, task, isText, notes }: Planned,
  method: Method,
  options: unknown,
): number {
  const { evaluations, minutes } = loaded.config.budget;
  const about = { trainExamples: task.train.length, humanPrompts: humanCandidates(task).length };
  const expected = method.expectedEvaluations?.(options, about);
  const perStep = (method.mostPerStep ?? method.leastEvaluations)?.(options, task);
  const beyond = perStep ?? task.train.length;
  // Questions in text are never sent beyond the limit; what is computed here ends its step.
  const limit = evaluations === undefined ? undefined : evaluations + (isText ? 0 : beyond);
  const bounds = [limit, expected].filter((bound) => bound !== undefined);
  if (bounds.length > 0) return Math.min(...bounds);
  const rate = answersPerSecond(loaded.config.taskLm, isText);
  notes.add(
    `${minutes} minutes of search at ${rate} answers a second; budget.evaluations would say how many at most`,
  );
  return Math.round(60 * minutes * rate);
}

/** Tokens of a prompt: what people write, and beside it what the method's options allow. */
function longestPrompt(task: AnyTask, options: unknown): number {
  const { promptTokens = 0, maxTokens = 0, maxCharacters = Number.POSITIVE_INFINITY, prompts = [] } = options as MostWritten; // biome-ignore format: one line
  // Of words, where a task LM in text has no tokens to count, each may be two.
  const written = Math.max(2 * promptTokens, Math.min(maxTokens, maxCharacters / 4));
  return Math.ceil(written + humanTokens([...prompts, ...humanCandidates(task)]));
}

/** How methods name the limits of what they write. */
interface MostWritten {
  readonly promptTokens?: number;
  readonly maxTokens?: number;
  readonly maxCharacters?: number;
  readonly prompts?: readonly string[];
}

/** Tokens of the longest of some texts. */
function humanTokens(texts: readonly string[]): number {
  return Math.max(0, ...texts.map((text) => Buffer.byteLength(text) / 4));
}

function total(planned: Planned, asked: readonly Asked[], repetitions: number): CallPlan {
  const { loaded, task, isText, notes } = planned;
  const { config } = loaded;
  const sum = (of: (one: Asked) => number) => repetitions * asked.reduce((all, one) => all + of(one), 0); // biome-ignore format: one call
  const { input, output } = tokensOfTask(task);
  const human = humanTokens(humanCandidates(task));
  const calls = sum(({ before, search, after }) => before + search + after);
  const promptTokens = sum(
    ({ before, search, after, promptTokens: own }) => before * human + (search + after) * own,
  );
  const perTask = { input: input + promptTokens / Math.max(1, calls), output };
  const judges = judgesOf(task, config);
  const proposals = asked.flatMap((one) => one.proposals ?? []);
  const byRole = {
    task: roleOf(planned, config.taskLm, { calls, ...perTask }),
    ...(proposals.length > 0
      ? {
          reflection: sumOf(
            proposals.map((one) =>
              roleOf(planned, config.policyLm, {
                calls: repetitions * one.calls,
                input: one.characters / 4 + one.examples * (input + 2 * output),
                output: one.tokens,
              }),
            ),
          ),
        }
      : {}),
    ...(judges.length > 0 ? { judge: judgeRole(planned, judges, calls, { input, output }) } : {}),
  };
  const rate = answersPerSecond(config.taskLm, isText);
  const searching = sum(({ search }) => Math.min(60 * config.budget.minutes, search / rate));
  const others = Object.entries(byRole).reduce(
    (all, [role, { calls: own }]) =>
      role === 'task' ? all : all + own / answersPerSecond(modelOf(role, judges, config), true),
    0,
  );
  const seconds = searching + sum(({ before, after }) => before + after) / rate + others;
  const all = sumOf(Object.values(byRole));
  return { kind: 'plan', ...all, minutes: seconds / 60, byRole, notes: [...notes] };
}

function modelOf(
  role: string,
  judges: readonly PlannedJudge[],
  { policyLm }: LoadedConfig['config'],
): ModelReference {
  return role === 'judge' ? judges[0]!.model : policyLm;
}

/** The price of all is not known where that of one is not. */
function sumOf(roles: readonly PlannedRole[]): PlannedRole {
  const add = (key: 'calls' | 'tokens') => roles.reduce((all, role) => all + role[key], 0);
  const usd = roles.reduce<number | null>(
    (all, role) => (all === null || role.usd === null ? null : all + role.usd),
    0,
  );
  return { calls: add('calls'), tokens: add('tokens'), usd };
}

function capNotes(
  { usd, ...counts }: PlannedRole,
  budget: LoadedConfig['config']['budget'],
): string[] {
  const out: string[] = [];
  for (const key of ['calls', 'tokens'] as const) {
    const cap = budget[key];
    if (cap !== undefined && counts[key] > cap)
      out.push(`budget.${key} ${cap} ends it before that`);
  }
  if (usd !== null && usd > budget.usd) {
    out.push(
      `budget.usd ${budget.usd} ends it before that: nothing more is paid for than it allows`,
    );
  }
  return out;
}

function roleOf(
  { loaded, notes }: Planned,
  reference: ModelReference,
  { calls, input, output }: { calls: number; input: number; output: number },
): PlannedRole {
  const inputTokens = Math.round(calls * input);
  const outputTokens = Math.round(calls * output);
  const price = priceFor(reference, loaded.config.prices);
  if (price === undefined) {
    notes.add(
      `the price of ${nameOf(reference)} is not known, and no run begins before prices says it`,
    );
  }
  const usd = price === undefined ? null : costUsd(price, { inputTokens, outputTokens });
  return { calls, tokens: inputTokens + outputTokens, usd };
}

/** Nothing for models of this process and of servers on this machine. */
function priceFor(
  reference: ModelReference,
  table: LoadedConfig['config']['prices'],
): Price | undefined {
  if (!isApiReference(reference)) return FREE;
  const model = parseApiReference(reference);
  const url = model.baseUrl ?? providers[model.provider]!.baseUrl ?? '';
  const isHere = /^https?:\/\/(127\.|localhost[:/]|\[::1\])/.test(url);
  const known = model.price ?? priceOf(`${model.provider}:${model.model}`, table);
  return known ?? (isHere ? FREE : undefined);
}

function answersPerSecond(reference: ModelReference, isText: boolean): number {
  if (!isApiReference(reference)) return isText ? LOCAL_PER_SECOND : LOGITS_PER_SECOND;
  const { provider, concurrency } = parseApiReference(reference);
  return (concurrency ?? providers[provider]!.concurrency) / API_SECONDS;
}

/** Mean tokens of a request without its prompt, and the most of an answer. */
function tokensOfTask(task: AnyTask): { input: number; output: number } {
  const prompt = '';
  const some: readonly AnyExample[] = task.train.slice(0, 200);
  const lengths = some.map((example) => {
    const { input } = example;
    const messages =
      task.kind === 'text'
        ? renderMessages(task.template, { prompt, ...example })
        : [
            {
              role: 'user' as const,
              content: renderTemplate(task.template, { input, prompt, mask: '' }),
            },
          ];
    return estimateTokens(messages).likely;
  });
  const input = lengths.reduce((a, b) => a + b, 0) / lengths.length;
  return { input, output: task.kind === 'text' ? task.maxAnswerTokens : 0 };
}

interface PlannedJudge {
  readonly model: ModelReference;
  readonly rubric?: string | undefined;
  readonly maxTokens?: number | undefined;
}

/** Every answer is judged by each of them. */
function judgeRole(
  planned: Planned,
  judges: readonly PlannedJudge[],
  calls: number,
  perTask: { readonly input: number; readonly output: number },
): PlannedRole {
  const each = judges.map(({ model, rubric = '', maxTokens = 256 }) =>
    roleOf(planned, model, {
      calls,
      input: 300 + rubric.length / 4 + perTask.input + perTask.output,
      output: maxTokens,
    }),
  );
  return sumOf(each);
}

/** The judges of the task's metric and of the reward's, each once. */
function judgesOf(task: AnyTask, config: LoadedConfig['config']): PlannedJudge[] {
  if (task.kind !== 'text') return [];
  const own = task.labelWords ? [] : [['task.metric', task.metric] as const];
  const named = [...own, ...rewardMetrics(config).map((one) => ['reward', one] as const)];
  const judges = named.flatMap(([place, metric]) => {
    const { name, ...rest } = typeof metric === 'object' ? metric : { name: metric };
    if (name !== 'judge') return [];
    const judge = rest as Partial<PlannedJudge>;
    if (judge.model === undefined) {
      throw new ConfigError(
        `${place}: the metric judge needs an LM that judges, name it by model, as { name: judge, model: … }`,
      );
    }
    return [judge as PlannedJudge];
  });
  return [...new Map(judges.map((judge) => [JSON.stringify(judge), judge])).values()];
}
