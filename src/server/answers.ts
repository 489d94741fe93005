/**
 * The schemas of what the studio's routes take and answer, each held to its type in contract.ts by the
 * compiler. Requests are checked by them, the OpenAPI document is made from them, and tests hold the
 * answers to them.
 */
import { z } from 'zod';
import type * as contract from './contract.ts';

const share = z.number();
const interval = z.tuple([z.number(), z.number()]);
const count = z.int().nonnegative();
const time = z.string().describe('ISO 8601');
const anything = z.unknown();

export const pageOf = <T>(items: z.ZodType<T>): z.ZodType<contract.Page<T>> =>
  z.strictObject({
    items: z.array(items),
    next: z.string().exactOptional(),
    total: count.exactOptional(),
  });

export const apiError: z.ZodType<contract.ApiError> = z.strictObject({
  code: z.string(),
  message: z.string(),
});

export const acknowledged: z.ZodType<contract.Acknowledged> = z.strictObject({
  ok: z.literal(true),
});

export const about: z.ZodType<contract.About> = z.strictObject({
  version: z.string(),
  node: z.string(),
  store: z.string(),
  folder: z.string(),
});

export const score: z.ZodType<contract.Score> = z.strictObject({
  score: share,
  interval,
  examples: count,
});

export const runState: z.ZodType<contract.RunState> = z.enum([
  'running',
  'paused',
  'interrupted',
  'done',
  'failed',
]);

const summaryFields = {
  id: z.string(),
  method: z.string(),
  state: runState,
  task: z.string(),
  started: time,
  ended: time.exactOptional(),
  step: z.number().exactOptional(),
  spent: share.exactOptional(),
  secondsLeft: z.number().exactOptional(),
  bestPrompt: z.string().exactOptional(),
  bestReward: z.number().exactOptional(),
  validation: score.exactOptional(),
  test: score.exactOptional(),
  error: z.string().exactOptional(),
  parent: z.string().exactOptional(),
  spark: z.array(z.number()),
};
export const runSummary: z.ZodType<contract.RunSummary> = z.strictObject(summaryFields);

const lineageEntry: z.ZodType<contract.LineageEntry> = z.strictObject({
  step: z.number(),
  prompt: z.string(),
  reward: z.number(),
});

const resultRow: z.ZodType<contract.ResultRow> = z.strictObject({
  method: z.string(),
  prompt: z.string(),
  validation: score,
  test: score,
});

const episode: z.ZodType<contract.Episode> = z.strictObject({
  context: z.string().exactOptional(),
  prompt: z.string(),
  input: z.string(),
  answer: z.string(),
  gold: z.string(),
  reward: z.number(),
});

export const runDetail: z.ZodType<contract.RunDetail> = z.strictObject({
  ...summaryFields,
  config: anything,
  yaml: z.string(),
  seed: z.number(),
  taskLm: z.string().exactOptional(),
  policyLm: z.string().exactOptional(),
  examples: z.strictObject({ train: count, validation: count, test: count }).exactOptional(),
  versions: z.record(z.string(), z.string()),
  hashes: z.record(z.string(), z.string()),
  evaluations: z.number().exactOptional(),
  promptsPerSecond: z.number().exactOptional(),
  usd: z.number().exactOptional(),
  lastEpisode: episode.exactOptional(),
  lastSeq: count,
  lineage: z.array(lineageEntry),
  rows: z.array(resultRow).exactOptional(),
  result: anything.exactOptional(),
  warnings: z.array(z.string()),
  canResume: z.boolean(),
});

export const series: z.ZodType<contract.Series> = z.strictObject({
  measures: z.record(
    z.string(),
    z.strictObject({ step: z.array(z.number()), value: z.array(z.number()) }),
  ),
  steps: count,
});

export const logEntry: z.ZodType<contract.LogEntry> = z.strictObject({
  seq: count,
  time,
  event: z.looseObject({ kind: z.string() }),
});

export const promptRow: z.ZodType<contract.PromptRow> = z.strictObject({
  text: z.string(),
  reward: z.number().exactOptional(),
  train: score.exactOptional(),
  validation: score.exactOptional(),
  test: score.exactOptional(),
});

const yaml = z
  .string()
  .max(2 ** 20)
  .describe('A configuration as YAML');
export const newRun: z.ZodType<contract.NewRun> = z.strictObject({ yaml });

export const branch: z.ZodType<contract.Branch> = z.strictObject({
  set: z.array(z.string().max(10_000)).max(100).describe('As --set takes them: key=value'),
  step: count.exactOptional().describe('The step to go on from; the last when left out'),
});

export const started: z.ZodType<contract.Started> = z.strictObject({ id: z.string() });

export const runDiff: z.ZodType<contract.RunDiff> = z.strictObject({
  a: z.string(),
  b: z.string(),
  config: z.array(z.strictObject({ path: z.string(), a: anything, b: anything })),
  facts: z.array(
    z.strictObject({
      name: z.string(),
      a: z.string().exactOptional(),
      b: z.string().exactOptional(),
    }),
  ),
  prompts: z.strictObject({ a: z.string().exactOptional(), b: z.string().exactOptional() }),
  test: z.strictObject({ a: score.exactOptional(), b: score.exactOptional() }).exactOptional(),
});

const comparisonFields = {
  id: z.string(),
  started: time,
  task: z.string(),
  methods: z.array(z.string()),
  repetitions: count,
  done: count,
  failed: count,
  total: count,
};
export const comparisonSummary: z.ZodType<contract.ComparisonSummary> =
  z.strictObject(comparisonFields);

export const comparisonDetail: z.ZodType<contract.ComparisonDetail> = z.strictObject({
  ...comparisonFields,
  rows: z.array(
    z.strictObject({
      method: z.string(),
      kindOfResult: z.string(),
      test: z.strictObject({ mean: share, interval }).exactOptional(),
      validation: share,
      evaluations: z.number(),
      seconds: z.number(),
      usd: z.number().nullable(),
      prompts: z.array(z.string()),
    }),
  ),
  pairs: z.array(
    z.strictObject({
      a: z.string(),
      b: z.string(),
      difference: z.number(),
      interval,
      p: z.number(),
      pAdjusted: z.number(),
    }),
  ),
  curves: z.array(
    z.strictObject({
      method: z.string(),
      points: z.array(z.strictObject({ evaluations: z.number(), reward: z.number() })),
    }),
  ),
  verdict: z.array(z.string()),
  cells: z.array(
    z.strictObject({
      method: z.string(),
      repetition: count,
      state: z.string(),
      run: z.string().exactOptional(),
      error: z.string().exactOptional(),
    }),
  ),
});

export const newComparison: z.ZodType<contract.NewComparison> = z.strictObject({
  yaml,
  methods: z.array(z.string().regex(/^[a-z][a-z0-9-]*$/, 'expected a name of a method')).min(1).max(50), // biome-ignore format: one line
  seeds: z.int().min(1).max(1000),
});

const exampleRow: z.ZodType<contract.ExampleRow> = z.strictObject({
  input: z.string(),
  gold: z.string(),
  answer: z.string(),
  isRight: z.boolean(),
  reward: z.number(),
  shares: z.record(z.string(), z.number()).exactOptional(),
});

export const openSplit = z.enum(['train', 'validation']);

export const exampleTable: z.ZodType<contract.ExampleTable> = z.strictObject({
  split: openSplit,
  rows: z.array(exampleRow),
});

export const playgroundRequest: z.ZodType<contract.PlaygroundRequest> = z.strictObject({
  run: z.string(),
  prompts: z.array(z.string().max(20_000)).min(1).max(2),
  split: openSplit.exactOptional(),
  limit: z.int().min(1).max(200).exactOptional(),
  input: z.string().min(1).max(100_000).exactOptional(),
});

export const playgroundAnswer: z.ZodType<contract.PlaygroundAnswer> = z.strictObject({
  prompts: z.array(
    z.strictObject({
      prompt: z.string(),
      tokens: z.array(z.string()),
      score: score.exactOptional(),
      rows: z.array(exampleRow),
    }),
  ),
});

export const planAnswer: z.ZodType<contract.PlanAnswer> = z.strictObject({
  problems: z.array(z.strictObject({ path: z.string(), message: z.string() })),
  plan: z
    .strictObject({
      calls: z.number(),
      tokens: z.number(),
      usd: z.number().nullable(),
      minutes: z.number(),
      notes: z.array(z.string()),
    })
    .exactOptional(),
});

export const schemaAnswer: z.ZodType<contract.SchemaAnswer> = z.strictObject({
  config: anything,
  methods: z.array(
    z.strictObject({
      name: z.string(),
      summary: z.string(),
      finds: z.string(),
      options: anything,
    }),
  ),
  example: z.string(),
});

export const dataRequest: z.ZodType<{ readonly yaml: string } | { readonly run: string }> = z.union(
  [z.strictObject({ yaml }), z.strictObject({ run: z.string() })],
);

export const dataReport: z.ZodType<contract.DataReport> = z.strictObject({
  task: z.string(),
  splits: z.array(
    z.strictObject({
      name: z.enum(['train', 'validation', 'test']),
      examples: count,
      gold: z.array(z.strictObject({ value: z.string(), count })),
      rows: z.array(z.strictObject({ input: z.string(), gold: z.string() })),
    }),
  ),
  duplicates: z.array(
    z.strictObject({
      input: z.string(),
      places: z.array(z.strictObject({ split: z.string(), row: count })),
      isLeak: z.boolean(),
    }),
  ),
  warnings: z.array(z.string()),
});

export const modelRow: z.ZodType<contract.ModelRow> = z.strictObject({
  name: z.string(),
  isHere: z.boolean(),
  bytes: count.exactOptional(),
  licence: z.string().exactOptional(),
  about: z.string().exactOptional(),
});

export const exportRequest: z.ZodType<{
  readonly run: string;
  readonly to: contract.ExportTarget;
}> = z.strictObject({
  run: z.string(),
  to: z.enum([
    'text',
    'json',
    'openai',
    'ai-sdk',
    'langchain',
    'promptfoo',
    'peft',
    'markdown',
    'html',
  ]),
});

export const exportAnswer: z.ZodType<contract.ExportAnswer> = z.strictObject({
  files: z.array(
    z.strictObject({
      name: z.string(),
      bytes: count,
      text: z.string().exactOptional(),
    }),
  ),
  score: z.number(),
  rescored: z.number(),
});
