/**
 * What passes between the server of the studio and its page: the JSON of every route, as types. The
 * page imports this file alone, for its types; the server's routes answer with exactly these.
 *
 *   GET  /launch?token=…              one-time; sets the cookie, redirects to /
 *   GET  /api/about                   About
 *   GET  /api/runs?limit&before       Page<RunSummary>      newest first; `before` is a run's id
 *   POST /api/runs                    NewRun → Started      starts a process of its own
 *   GET  /api/runs/:id                RunDetail
 *   GET  /api/runs/:id/series?points  Series                so many points of each measure
 *   GET  /api/runs/:id/log?after&limit&kinds  Page<LogEntry>  oldest first after a sequence number
 *   GET  /api/runs/:id/stream         server-sent events: `event: run`, `id:` the sequence number, data a
 *                                     LogEntry; `event: state`, data a RunState. Last-Event-ID resumes.
 *   GET  /api/runs/:id/prompts?limit&offset  Page<PromptRow>   best reward first
 *   POST /api/runs/:id/pause|stop|resume     {} → Acknowledged
 *   POST /api/runs/:id/branch         Branch → Started
 *   DELETE /api/runs/:id              Acknowledged
 *   GET  /api/runs/:id/diff/:other    RunDiff
 *   GET  /api/comparisons             Page<ComparisonSummary>
 *   GET  /api/comparisons/:id         ComparisonDetail
 *   POST /api/comparisons             NewComparison → Started
 *   GET  /api/runs/:id/examples?split&limit   ExampleTable  what the run's prompt answers
 *   POST /api/playground              PlaygroundRequest → PlaygroundAnswer
 *   GET  /api/schema                  the JSON Schema of the configuration, and what methods take
 *   POST /api/plan                    { yaml } → PlanAnswer     validation and the dry-run plan
 *   POST /api/data                    { yaml } or { run } → DataReport
 *   GET  /api/models                  Page<ModelRow>
 *   POST /api/exports                 { run, to } → ExportAnswer
 *   GET  /api/openapi.json            OpenAPI 3.1 of all of these
 *
 * A failure is an HTTP status with ApiError.
 */

export type RunState = 'running' | 'paused' | 'interrupted' | 'done' | 'failed';

export interface ApiError {
  /** A stable word, as on the command line: usage, config, data, store, not-found, refused … */
  readonly code: string;
  /** One sentence for people. */
  readonly message: string;
}

export interface Page<T> {
  readonly items: readonly T[];
  /** Where the next page starts, if there is one: the parameter to repeat the call with. */
  readonly next?: string;
  readonly total?: number;
}

export interface Acknowledged {
  readonly ok: true;
}

export interface About {
  readonly version: string;
  readonly node: string;
  /** Where runs are kept, as people would name it. */
  readonly store: string;
  /** Paths in configurations that are typed in are relative to this folder. */
  readonly folder: string;
}

export interface Score {
  readonly score: number;
  readonly interval: readonly [low: number, high: number];
  readonly examples: number;
}

export interface RunSummary {
  readonly id: string;
  readonly method: string;
  readonly state: RunState;
  readonly task: string;
  /** ISO 8601. */
  readonly started: string;
  readonly ended?: string;
  readonly step?: number;
  /** Share of the budget that is spent, 0 to 1. */
  readonly spent?: number;
  readonly secondsLeft?: number;
  readonly bestPrompt?: string;
  readonly bestReward?: number;
  readonly validation?: Score;
  readonly test?: Score;
  readonly error?: string;
  /** The run that this one branched off. */
  readonly parent?: string;
  /** Mean reward of at most 32 steps, oldest first: for a sparkline. */
  readonly spark: readonly number[];
}

export interface Episode {
  /** What the policy read, where it was kept. */
  readonly context?: string;
  readonly prompt: string;
  readonly input: string;
  readonly answer: string;
  readonly gold: string;
  readonly reward: number;
}

export interface RunDetail extends RunSummary {
  readonly config: unknown;
  /** The same as YAML, as a person would write it. */
  readonly yaml: string;
  readonly seed: number;
  readonly taskLm?: string;
  readonly policyLm?: string;
  readonly examples?: {
    readonly train: number;
    readonly validation: number;
    readonly test: number;
  };
  readonly versions: Readonly<Record<string, string>>;
  readonly hashes: Readonly<Record<string, string>>;
  readonly evaluations?: number;
  readonly promptsPerSecond?: number;
  readonly usd?: number;
  readonly lastEpisode?: Episode;
  /** The last sequence number, to stream from. */
  readonly lastSeq: number;
  /** Best prompts so far in the order in which each became the best. */
  readonly lineage: readonly LineageEntry[];
  /** The final table: yardsticks and what was found. */
  readonly rows?: readonly ResultRow[];
  readonly result?: unknown;
  readonly warnings: readonly string[];
  /** Whether a process could go on with it. */
  readonly canResume: boolean;
}

export interface LineageEntry {
  readonly step: number;
  readonly prompt: string;
  readonly reward: number;
}

export interface ResultRow {
  readonly method: string;
  readonly prompt: string;
  readonly validation: Score;
  readonly test: Score;
}

export interface Series {
  /**
   * By stable name: reward, bestReward, entropy, promptsPerSecond, evaluations, spent, what the method
   * measured beside them (kl, drift, loss …), and `validation`, the score of looks at that split. Of a
   * long run the least and the greatest values stand, at the steps at which they were measured.
   */
  readonly measures: Readonly<
    Record<string, { readonly step: readonly number[]; readonly value: readonly number[] }>
  >;
  /** Steps in all, before thinning. */
  readonly steps: number;
}

export interface LogEntry {
  readonly seq: number;
  /** ISO 8601. */
  readonly time: string;
  /** An event of the run, as the command line prints it. */
  readonly event: { readonly kind: string; readonly [key: string]: unknown };
}

export interface PromptRow {
  readonly text: string;
  readonly reward?: number;
  readonly train?: Score;
  readonly validation?: Score;
  readonly test?: Score;
}

export interface NewRun {
  /** A configuration as YAML. */
  readonly yaml: string;
}

export interface Branch {
  /** Paths and values, as `--set` takes them: "method.learningRate=1e-4". */
  readonly set: readonly string[];
  /** The step to go on from. @default the last that was kept */
  readonly step?: number;
}

export interface Started {
  readonly id: string;
}

export interface RunDiff {
  readonly a: string;
  readonly b: string;
  /** Settings that differ, by path. */
  readonly config: readonly { readonly path: string; readonly a: unknown; readonly b: unknown }[];
  /** Data, models and versions that differ, by name. */
  readonly facts: readonly { readonly name: string; readonly a?: string; readonly b?: string }[];
  readonly prompts: { readonly a?: string; readonly b?: string };
  readonly test?: { readonly a?: Score; readonly b?: Score };
}

export interface ComparisonSummary {
  readonly id: string;
  readonly started: string;
  readonly task: string;
  readonly methods: readonly string[];
  readonly repetitions: number;
  readonly done: number;
  readonly failed: number;
  readonly total: number;
}

export interface ComparisonDetail extends ComparisonSummary {
  readonly rows: readonly {
    readonly method: string;
    readonly kindOfResult: string;
    readonly test?: { readonly mean: number; readonly interval: readonly [number, number] };
    readonly validation: number;
    readonly evaluations: number;
    readonly seconds: number;
    /** Mean over runs; null where a price is not known. */
    readonly usd: number | null;
    readonly prompts: readonly string[];
  }[];
  readonly pairs: readonly {
    readonly a: string;
    readonly b: string;
    readonly difference: number;
    readonly interval: readonly [number, number];
    readonly p: number;
    readonly pAdjusted: number;
  }[];
  /** Best reward so far against evaluations: points a method. */
  readonly curves: readonly {
    readonly method: string;
    readonly points: readonly { readonly evaluations: number; readonly reward: number }[];
  }[];
  /** Plain words; names no winner inside the noise. */
  readonly verdict: readonly string[];
  readonly cells: readonly {
    readonly method: string;
    readonly repetition: number;
    readonly state: string;
    readonly run?: string;
    readonly error?: string;
  }[];
}

export interface NewComparison extends NewRun {
  readonly methods: readonly string[];
  readonly seeds: number;
}

export interface ExampleTable {
  readonly split: 'train' | 'validation';
  readonly rows: readonly ExampleRow[];
}

export interface ExampleRow {
  readonly input: string;
  readonly gold: string;
  readonly answer: string;
  readonly isRight: boolean;
  readonly reward: number;
  /** P of each label word, where the task has such. */
  readonly shares?: Readonly<Record<string, number>>;
}

export interface PlaygroundRequest {
  /** The run whose task and models are taken. */
  readonly run: string;
  /** One prompt or two to compare. */
  readonly prompts: readonly string[];
  /** @default validation; the test split stays sealed */
  readonly split?: 'train' | 'validation';
  /** Examples. @default 16, at most 200 */
  readonly limit?: number;
  /** A text of one's own in place of the data. */
  readonly input?: string;
}

export interface PlaygroundAnswer {
  readonly prompts: readonly {
    readonly prompt: string;
    readonly tokens: readonly string[];
    readonly score?: Score;
    readonly rows: readonly ExampleRow[];
  }[];
}

export interface PlanAnswer {
  /** What is wrong with the configuration, by path; empty when it can run. */
  readonly problems: readonly { readonly path: string; readonly message: string }[];
  readonly plan?: {
    readonly calls: number;
    readonly tokens: number;
    readonly usd: number | null;
    readonly minutes: number;
    readonly notes: readonly string[];
  };
}

export interface SchemaAnswer {
  /** JSON Schema of the configuration. */
  readonly config: unknown;
  readonly methods: readonly {
    readonly name: string;
    readonly summary: string;
    readonly finds: string;
    /** JSON Schema of its options. */
    readonly options: unknown;
  }[];
  /** A configuration to start with, as YAML. */
  readonly example: string;
}

export interface DataReport {
  readonly task: string;
  readonly splits: readonly {
    readonly name: 'train' | 'validation' | 'test';
    readonly examples: number;
    /** Gold values and how often each stands; of the test split the counts alone. */
    readonly gold: readonly { readonly value: string; readonly count: number }[];
    /** The first examples; none of the sealed test split. */
    readonly rows: readonly { readonly input: string; readonly gold: string }[];
  }[];
  /** Texts that stand more than once, inside a split or across splits (a leak). */
  readonly duplicates: readonly {
    readonly input: string;
    readonly places: readonly { readonly split: string; readonly row: number }[];
    readonly isLeak: boolean;
  }[];
  readonly warnings: readonly string[];
}

export interface ModelRow {
  readonly name: string;
  readonly isHere: boolean;
  readonly bytes?: number;
  readonly licence?: string;
  readonly about?: string;
}

export type ExportTarget =
  | 'text'
  | 'json'
  | 'openai'
  | 'ai-sdk'
  | 'langchain'
  | 'promptfoo'
  | 'peft'
  | 'markdown'
  | 'html';

export interface ExportAnswer {
  readonly files: readonly {
    readonly name: string;
    readonly bytes: number;
    readonly text?: string;
  }[];
  /** What the run said, and what the export's own bytes score. */
  readonly score: number;
  readonly rescored: number;
}
