/**
 * The metrics of free-text answers. A new one is a file beside this one and a line here:
 * configuration, its check and the table in docs/metrics.md derive from it.
 */
import { z } from 'zod';
import { ConfigError } from '../../errors.ts';
import { expectation } from '../../util/expectation.ts';
import { suggestion } from '../../util/suggest.ts';
import { excerpt } from '../excerpt.ts';
import { bleu } from './bleu.ts';
import { chrf } from './chrf.ts';
import { contains } from './contains.ts';
import { editSimilarity } from './edit-similarity.ts';
import { embeddingSimilarity } from './embedding.ts';
import { exact } from './exact.ts';
import { json } from './json.ts';
import { judge } from './judge.ts';
import type { Metric, MetricContext, MetricDefinition } from './metric.ts';
import { numeric } from './numeric.ts';
import { ownFunction } from './own-function.ts';
import { regex } from './regex.ts';
import { rougeL } from './rouge.ts';
import { normalised, tokenF1 } from './squad.ts';

export const metrics = {
  exact,
  normalised,
  'token-f1': tokenF1,
  numeric,
  contains,
  regex,
  json,
  'rouge-l': rougeL,
  chrf,
  bleu,
  'edit-similarity': editSimilarity,
  'embedding-similarity': embeddingSimilarity,
  judge,
  function: ownFunction,
} as const;

type Metrics = typeof metrics;
export type MetricName = keyof Metrics;
export const metricNames = Object.keys(metrics) as [MetricName, ...MetricName[]];

/** As a configuration says it: `chrf`, or `{ name: numeric, tolerance: 0.01 }`. */
export type MetricConfig =
  | MetricName
  | {
      [Name in MetricName]: { name: Name } & z.input<z.ZodObject<Metrics[Name]['options']>>;
    }[MetricName];

const definitions: readonly MetricDefinition[] = Object.values(metrics);

/** Options of a metric by itself, its name among them. */
function schemaOf({ name, summary, options }: MetricDefinition) {
  return z.strictObject({ name: z.literal(name), ...options }).describe(summary);
}

/** For editors: names of metrics that need no options, or one object a metric. */
function jsonSchema(): z.core.JSONSchema.BaseSchema {
  const schemas = definitions.map(schemaOf);
  const short = definitions.filter(({ name }, i) => schemas[i]!.safeParse({ name }).success);
  const names = z.enum(short.map(({ name }) => name));
  const { $schema, ...schema } = z.toJSONSchema(z.union([names, ...schemas]), { io: 'input' });
  return schema;
}

/** For configurations: checks name and options, says in one sentence what is wrong with them. */
export const metricSchema = z
  .unknown()
  .superRefine((config, context) => {
    const found = find(config);
    if (typeof found === 'string') context.addIssue({ code: 'custom', message: found });
  })
  .meta({
    ...jsonSchema(),
    description: 'How outputs are judged: a name, or { name, … options }',
  }) as unknown as z.ZodType<MetricConfig, MetricConfig>;

/** A definition with its options, or what is wrong. */
function find(config: unknown) {
  const isGroup = typeof config === 'object' && config !== null && !Array.isArray(config);
  const given: Record<string, unknown> = isGroup ? { ...config } : { name: config };
  const definition = definitions.find(({ name }) => name === given.name);
  if (!definition) {
    const name = typeof given.name === 'string' ? given.name : '';
    const known = suggestion(name, metricNames) || ` (known: ${metricNames.join(', ')})`;
    return `there is no metric ${name === '' ? 'without a name' : excerpt(name)}${known}`;
  }
  const parsed = schemaOf(definition).safeParse(given);
  if (parsed.success) return { definition, options: parsed.data };
  return complaint(parsed.error.issues[0]!, given, definition);
}

function complaint(
  issue: z.core.$ZodIssue,
  given: unknown,
  { name, options }: MetricDefinition,
): string {
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    return `metric ${name} has no option ${excerpt(key)}${suggestion(key, Object.keys(options))}`;
  }
  return `metric ${name}: ${issue.path.map(String).join('.')}: ${expectation(issue, given)}`;
}

/**
 * Opens the metric that a configuration names.
 * @throws ConfigError when there is none of this name, an option is wrong, or the context lacks what
 * the metric needs
 */
export async function metricOf(config: unknown, context: MetricContext = {}): Promise<Metric> {
  const found = find(config);
  if (typeof found === 'string') throw new ConfigError(found);
  const { definition, options } = found;
  const missing = definition.needs?.find((need) => context[need] === undefined);
  if (missing !== undefined) {
    const what =
      missing === 'judge'
        ? 'an LM that judges, name it by model, as { name: judge, model: openai:gpt-4.1-mini }'
        : 'a model that embeds texts, and none is given here';
    throw new ConfigError(`metric ${definition.name}: needs ${what}`);
  }
  return definition.open(options, context);
}

/**
 * The score of a whole set: the metric's own, or the mean of the scores that are not null; null where
 * all are.
 */
export function setScore(
  metric: Metric,
  answers: readonly { output: string; golds: readonly string[]; input: string }[],
  scores: readonly (number | null)[],
): number | null {
  if (metric.corpus && answers.length > 0) return metric.corpus(answers);
  const known = scores.filter((score) => score !== null);
  if (known.length === 0) return null;
  return known.reduce((sum, score) => sum + score, 0) / known.length;
}

export { checkJudge, estimateJudgeNoise, type JudgeNoise, type JudgeOptions } from './judge.ts';
export type { Answer, Embed, Metric, MetricContext, MetricDefinition } from './metric.ts';
export type { OwnMetric } from './own-function.ts';
