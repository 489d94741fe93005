/**
 * The client of the studio's server, typed by src/server/contract.ts: one function a route. A failure
 * is an ApiFailure with the server's own sentence.
 */
import type {
  About,
  Acknowledged,
  ApiError,
  Branch,
  ComparisonDetail,
  ComparisonSummary,
  DataReport,
  ExampleTable,
  ExportAnswer,
  ExportTarget,
  LogEntry,
  ModelRow,
  NewComparison,
  NewRun,
  Page,
  PlanAnswer,
  PlaygroundAnswer,
  PlaygroundRequest,
  PromptRow,
  RunDetail,
  RunDiff,
  RunSummary,
  SchemaAnswer,
  Series,
  Started,
} from '../../src/server/contract.ts';

export class ApiFailure extends Error {
  readonly code: string;
  readonly status: number;
  constructor({ code, message }: ApiError, status: number) {
    super(message);
    this.code = code;
    this.status = status;
  }
}

interface Call {
  readonly method?: 'GET' | 'POST' | 'DELETE';
  readonly body?: unknown;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly signal?: AbortSignal | undefined;
}

async function call<T>(
  path: string,
  { method = 'GET', body, query, signal }: Call = {},
): Promise<T> {
  const parameters = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  const search = new URLSearchParams(parameters.map(([name, value]) => [name, String(value)]));
  const response = await fetch(`/api/${path}${parameters.length > 0 ? `?${search}` : ''}`, {
    method,
    credentials: 'same-origin',
    ...(signal ? { signal } : {}),
    ...(method === 'POST'
      ? { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body ?? {}) }
      : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ApiFailure({ code: 'offline', message: 'the studio’s server does not answer' }, 0);
  });
  if (response.ok) return (await response.json()) as T;
  throw new ApiFailure(await failureOf(response), response.status);
}

async function failureOf(response: Response): Promise<ApiError> {
  try {
    const found = (await response.json()) as Partial<ApiError>;
    if (typeof found.message === 'string')
      return { code: found.code ?? 'failed', message: found.message };
  } catch {
    // No JSON: the status says what there is to say.
  }
  return { code: 'failed', message: `the server answered ${response.status}` };
}

const run = (id: string) => `runs/${encodeURIComponent(id)}`;
const post = <T>(path: string, body?: unknown, signal?: AbortSignal) =>
  call<T>(path, { method: 'POST', body, signal });

export const api = {
  about: () => call<About>('about'),
  runs: (query: { limit?: number; before?: string }, signal?: AbortSignal) =>
    call<Page<RunSummary>>('runs', { query, signal }),
  start: (body: NewRun) => post<Started>('runs', body),
  run: (id: string, signal?: AbortSignal) => call<RunDetail>(run(id), { signal }),
  series: (id: string, points: number, signal?: AbortSignal) =>
    call<Series>(`${run(id)}/series`, { query: { points }, signal }),
  log: (
    id: string,
    query: { after?: number; limit?: number; kinds?: string | undefined },
    signal?: AbortSignal,
  ) => call<Page<LogEntry>>(`${run(id)}/log`, { query, signal }),
  /** The address of a run's events after a sequence number. */
  stream: (id: string, after: number) => `/api/${run(id)}/stream?after=${after}`,
  prompts: (id: string, query: { limit: number; offset: number }, signal?: AbortSignal) =>
    call<Page<PromptRow>>(`${run(id)}/prompts`, { query, signal }),
  pause: (id: string) => post<Acknowledged>(`${run(id)}/pause`),
  stop: (id: string) => post<Acknowledged>(`${run(id)}/stop`),
  resume: (id: string) => post<Acknowledged>(`${run(id)}/resume`),
  branch: (id: string, body: Branch) => post<Started>(`${run(id)}/branch`, body),
  remove: (id: string) => call<Acknowledged>(run(id), { method: 'DELETE' }),
  diff: (a: string, b: string, signal?: AbortSignal) =>
    call<RunDiff>(`${run(a)}/diff/${encodeURIComponent(b)}`, { signal }),
  comparisons: (signal?: AbortSignal) => call<Page<ComparisonSummary>>('comparisons', { signal }),
  comparison: (id: string, signal?: AbortSignal) =>
    call<ComparisonDetail>(`comparisons/${encodeURIComponent(id)}`, { signal }),
  compare: (body: NewComparison) => post<Started>('comparisons', body),
  examples: (id: string, query: { split: string; limit: number }, signal?: AbortSignal) =>
    call<ExampleTable>(`${run(id)}/examples`, { query, signal }),
  playground: (body: PlaygroundRequest, signal?: AbortSignal) =>
    post<PlaygroundAnswer>('playground', body, signal),
  schema: (signal?: AbortSignal) => call<SchemaAnswer>('schema', { signal }),
  plan: (yaml: string, signal?: AbortSignal) => post<PlanAnswer>('plan', { yaml }, signal),
  data: (body: { yaml: string } | { run: string }, signal?: AbortSignal) =>
    post<DataReport>('data', body, signal),
  models: (signal?: AbortSignal) => call<Page<ModelRow>>('models', { signal }),
  export: (body: { run: string; to: ExportTarget }) => post<ExportAnswer>('exports', body),
};
