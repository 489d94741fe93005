/**
 * The routes of the OpenAI-compatible endpoint: models, chat completions, completions, health and
 * metrics. Requests are checked here and answered by a queue; every failure has OpenAI's shape.
 */
import { createHash, randomUUID, timingSafeEqual } from 'node:crypto';
import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import type { z } from 'zod';
import { BudgetError, ConfigError, DataError, type WhetstoneError } from '../../errors.ts';
import { complaintOf } from '../complaint.ts';
import { guard } from '../guard.ts';
import { chatShape, completionShape, type Head, type Shape, usageOf } from './answers.ts';
import { type Counter, Metrics } from './metrics.ts';
import { Queue, QueueFull } from './queue.ts';
import { askOfChat, asksOfCompletion, chatSchema, completionSchema } from './requests.ts';
import type { Answered, Ask, Refused, Responder } from './responder.ts';
import { streamed } from './streamed.ts';

export interface AppOptions {
  readonly responder: Responder;
  /** The names under which the model may be asked for; the first is listed first. */
  readonly models: readonly string[];
  readonly about: Readonly<Record<string, string>>;
  readonly apiKey?: string | undefined;
  /** Questions that may wait. */
  readonly queue: number;
  /** Time that a question may take, waiting included. */
  readonly timeoutMs: number;
  /** A record of each request; bodies only with `logBodies`. */
  readonly log: (record: LogRecord) => void;
  readonly logBodies?: boolean;
}

export interface LogRecord {
  readonly event: string;
  readonly [field: string]: unknown;
}

export interface OpenAiApp {
  readonly app: Hono<Env>;
  readonly metrics: Metrics;
  /** From now on nothing new is taken. */
  drain(): void;
}

type Env = {
  Bindings: HttpBindings;
  Variables: {
    id: string;
    /** For the log. */
    body?: unknown;
    answer?: unknown;
    tokens?: ReturnType<typeof usageOf>;
    /** Resolved when a stream has been sent. */
    streamed?: Promise<void>;
    /** True where the client went away before its answer was whole. */
    isCancelled?: boolean;
  };
};

export function openAiApp(o: AppOptions): OpenAiApp {
  const metrics = new Metrics(o.about);
  const queue = new Queue<Ask, Answered | Refused>({
    size: o.queue,
    batch: o.responder.batch,
    concurrency: o.responder.concurrency,
    work: (asks, signal) => o.responder.answer(asks, signal),
  });
  let isDraining = false;
  const app = new Hono<Env>();

  app.use(async (c, next) => {
    const started = performance.now();
    const id = `req_${randomUUID().replaceAll('-', '')}`;
    c.set('id', id);
    await next();
    await inOpenAiShape(c);
    c.header('x-request-id', id);
    const path = Object.hasOwn(METHODS, c.req.path) ? c.req.path : 'other';
    const done = (status: number) => {
      const seconds = (performance.now() - started) / 1000;
      metrics.count('whetstone_requests_total', { path, status: String(status) });
      if (status === 200 && path.startsWith('/v1/') && path !== '/v1/models') {
        metrics.observe(seconds);
      }
      o.log({
        event: 'request',
        id,
        method: c.req.method,
        path,
        status,
        ms: Math.round(1000 * seconds),
        ...(c.get('streamed') ? { stream: true } : {}),
        ...(c.get('isCancelled') ? { cancelled: true } : {}),
        ...c.get('tokens'),
        ...(o.logBodies ? { body: c.get('body'), answer: c.get('answer') } : {}),
      });
    };
    const { status } = c.res;
    const streamed = c.get('streamed');
    if (streamed) void streamed.then(() => done(status));
    else done(status);
  });
  app.use(guard());
  app.use('/v1/*', requireKey(o.apiKey));
  app.use('/metrics', requireKey(o.apiKey));

  app.get('/health', (c) =>
    isDraining
      ? c.json({ status: 'stopping' }, 503)
      : c.json({ status: 'ok', ...o.about, waiting: queue.length, inProgress: queue.inProgress }),
  );
  app.get('/metrics', (c) => {
    c.header('content-type', 'text/plain; version=0.0.4; charset=utf-8');
    return c.body(metrics.text({ waiting: queue.length, inProgress: queue.inProgress }));
  });
  const created = Math.floor(Date.now() / 1000);
  const listed = o.models.map((id) => ({ id, object: 'model', created, owned_by: 'whetstone' }));
  app.get('/v1/models', (c) => c.json({ object: 'list', data: listed }));
  app.get('/v1/models/:id', (c) => {
    const found = listed.find(({ id }) => id === c.req.param('id'));
    return found ? c.json(found) : noSuchModel(c, c.req.param('id'));
  });

  app.post('/v1/chat/completions', async (c) => {
    const read = await readBody(c, chatSchema);
    if (read instanceof Response) return read;
    const ask = askOfChat(read);
    if (!ask) {
      return failed(c, 400, 'messages: expected a message of the user with text, there is none', {
        param: 'messages',
      });
    }
    const top = read.logprobs ? (read.top_logprobs ?? 0) : undefined;
    return answer(c, {
      request: read,
      asks: [ask],
      shape: chatShape(top),
      top,
      prefix: 'chatcmpl',
    });
  });
  app.post('/v1/completions', async (c) => {
    const read = await readBody(c, completionSchema);
    if (read instanceof Response) return read;
    const top = read.logprobs ?? undefined;
    const asks = asksOfCompletion(read);
    if (asks.some(({ input }) => input.trim() === '')) {
      return failed(c, 400, 'prompt: expected a text, got an empty one', { param: 'prompt' });
    }
    return answer(c, { request: read, asks, shape: completionShape(top), top, prefix: 'cmpl' });
  });
  app.notFound((c) => {
    const { method, path } = c.req;
    const allowed = path.startsWith('/v1/models/') ? 'GET' : METHODS[path];
    if (allowed === undefined) {
      const routes = Object.entries(METHODS).map(([route, one]) => `${one} ${route}`);
      return failed(c, 404, `${method} ${path}: there is no such route, there are ${routes.join(', ')}`); // biome-ignore format: one line
    }
    c.header('allow', allowed);
    return failed(c, 405, `${method} ${path}: is asked by ${allowed} alone`);
  });
  app.onError((error, c) => {
    o.log({ event: 'error', id: c.get('id'), message: error.message });
    return failed(c, 500, 'the server failed; its log says why', { type: 'server_error' });
  });

  async function readBody<S extends z.ZodType<{ model: string }>>(
    c: Context<Env>,
    schema: S,
  ): Promise<z.infer<S> | Response> {
    let body: unknown;
    try {
      body = JSON.parse(await c.req.text());
    } catch {
      return failed(c, 400, 'the body is no JSON');
    }
    if (o.logBodies) c.set('body', body);
    const parsed = schema.safeParse(body);
    if (!parsed.success) {
      const { param, sentence } = complaintOf(parsed.error.issues[0]!, body);
      const mend = param === 'model' ? `; ask for ${o.models.join(' or ')}` : '';
      const message = `${param || 'the body'}: ${sentence}${mend}`;
      return failed(c, 400, message, { param: param || null });
    }
    if (!o.models.includes(parsed.data.model)) return noSuchModel(c, parsed.data.model);
    return parsed.data;
  }

  function noSuchModel(c: Context<Env>, name: string): Response {
    const message = `the model ${JSON.stringify(name.slice(0, 100))} is not served here, ask for ${o.models.join(' or ')}`;
    return failed(c, 404, message, { param: 'model', code: 'model_not_found' });
  }

  interface Asked {
    readonly request: z.infer<typeof chatSchema> | z.infer<typeof completionSchema>;
    readonly asks: readonly Ask[];
    readonly shape: Shape;
    readonly top: number | undefined;
    readonly prefix: string;
  }

  async function answer(c: Context<Env>, asked: Asked): Promise<Response> {
    const { request, asks, shape, top, prefix } = asked;
    if (isDraining) return failed(c, 503, 'the server is stopping', { type: 'server_error' });
    if (top !== undefined && !o.responder.hasWords) {
      return failed(c, 400, 'logprobs: are told for label words alone, this task is answered in text', { param: 'logprobs' }); // biome-ignore format: one sentence
    }
    const head: Head = {
      id: `${prefix}-${c.get('id').slice(4)}`,
      created: Math.floor(Date.now() / 1000),
      model: request.model,
    };
    const client = c.req.raw.signal;
    const gone = new AbortController();
    // The client's own signal gives a text as its reason.
    client.addEventListener('abort', () => gone.abort(), { once: true });
    if (client.aborted) gone.abort();
    const signal = AbortSignal.any([gone.signal, AbortSignal.timeout(o.timeoutMs)]);
    const answersTo = async (asks: readonly Ask[]) => {
      const some = asks.map((ask) => ({ ...ask, signal }));
      const answers = counted(await queue.askAll(some, signal));
      remember(c, answers);
      return answers;
    };
    if (!request.stream) {
      try {
        return c.json(shape.whole(head, await answersTo(asks)));
      } catch (error) {
        return fromError(c, error, o.timeoutMs);
      }
    }
    let sent = () => {};
    c.set(
      'streamed',
      new Promise((resolve) => {
        sent = resolve;
      }),
    );
    return streamed(c, {
      shape,
      head,
      asks,
      withUsage: request.stream_options?.include_usage === true,
      answer: answersTo,
      refuse: (error) => fromError(c, error, o.timeoutMs),
      broken: (error) => {
        const { body } = errorOf(error, o.timeoutMs);
        if (gone.signal.aborted) c.set('isCancelled', true);
        else o.log({ event: 'error', id: c.get('id'), message: body.error.message });
        return body;
      },
      gone: () => gone.abort(),
      sent,
    });
  }

  function remember(c: Context<Env>, answers: readonly Answered[]): void {
    c.set('tokens', usageOf(answers));
    if (o.logBodies) c.set('answer', answers);
  }

  function counted(answers: readonly (Answered | Refused)[]): Answered[] {
    const whole = answers.map((one) => {
      if ('error' in one) throw one.error;
      return one;
    });
    const { prompt_tokens: input, completion_tokens: output } = usageOf(whole);
    const count = (name: Counter, labels: Record<string, string>, by: number) =>
      metrics.count(name, labels, by);
    count('whetstone_tokens_total', { direction: 'input' }, input);
    count('whetstone_tokens_total', { direction: 'output' }, output);
    for (const { text, words } of whole) {
      if (words) count('whetstone_answers_total', { label: text }, 1);
    }
    return whole;
  }

  return {
    app,
    metrics,
    drain: () => {
      isDraining = true;
    },
  };
}

const METHODS: Readonly<Record<string, string>> = {
  '/health': 'GET',
  '/metrics': 'GET',
  '/v1/models': 'GET',
  '/v1/chat/completions': 'POST',
  '/v1/completions': 'POST',
};

interface ErrorFacts {
  readonly type?: string;
  readonly param?: string | null;
  readonly code?: string | null;
}

function errorBody(
  message: string,
  { type = 'invalid_request_error', param = null, code = null }: ErrorFacts,
) {
  return { error: { message, type, param, code } };
}

function failed(c: Context, status: number, message: string, facts: ErrorFacts = {}): Response {
  return c.json(errorBody(message, facts), status as 400);
}

function fromError(c: Context, error: unknown, timeoutMs: number): Response {
  const { status, body, retryAfter } = errorOf(error, timeoutMs);
  if (retryAfter !== undefined) c.header('retry-after', String(retryAfter));
  return c.json(body, status as 400);
}

/** What a failure is to a client. */
function errorOf(error: unknown, timeoutMs: number) {
  const said = (status: number, message: string, facts: ErrorFacts = {}, retryAfter?: number) => ({
    status,
    body: errorBody(message, facts),
    retryAfter,
  });
  if (error instanceof QueueFull) {
    return said(429, 'too many questions wait already, ask again in a moment', { type: 'rate_limit_error', code: 'queue_full' }, 1); // biome-ignore format: one call
  }
  const { name } = error as Error;
  if (name === 'TimeoutError') {
    return said(504, `no answer came within ${timeoutMs / 1000} s`, { type: 'server_error', code: 'timeout' }); // biome-ignore format: one call
  }
  if (name === 'AbortError') return said(499, 'the client went away', { type: 'server_error' });
  const { message, code } = error as WhetstoneError;
  const isTooLong = / tokens\b/.test(message);
  if (error instanceof ConfigError || error instanceof DataError) {
    return said(400, message, { code: isTooLong ? 'context_length_exceeded' : null });
  }
  if (error instanceof BudgetError) {
    return said(429, message, { type: 'insufficient_quota', code: 'insufficient_quota' });
  }
  return said(502, `the task LM gave no answer: ${message}`, { type: 'server_error', code });
}

/** What the guard refused, in OpenAI's shape. */
async function inOpenAiShape(c: Context): Promise<void> {
  if (c.res.status < 400 || !c.res.headers.get('content-type')?.startsWith('application/json')) {
    return;
  }
  const body = (await c.res.clone().json()) as { code?: string; message?: string };
  if (typeof body.message !== 'string') return;
  const { headers, status } = c.res;
  c.res = new Response(JSON.stringify(errorBody(body.message, { code: body.code ?? null })), {
    status,
    headers,
  });
}

function requireKey(key: string | undefined) {
  const wanted = key === undefined ? undefined : digest(`Bearer ${key}`);
  return async (c: Context, next: () => Promise<void>): Promise<Response | undefined> => {
    const given = (c.req.header('authorization') ?? '').replace(/^bearer +/i, 'Bearer ');
    if (wanted && !timingSafeEqual(wanted, digest(given))) {
      c.header('www-authenticate', 'Bearer');
      const message = given === '' ? 'an API key is needed' : 'the API key is not the right one';
      return failed(c, 401, `${message}: Authorization: Bearer KEY`, { code: 'invalid_api_key' });
    }
    await next();
    return undefined;
  };
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
