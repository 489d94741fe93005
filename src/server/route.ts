/**
 * A route is a row of one table: method, path, what it takes and answers, and the function that does it.
 * The Hono application and the OpenAPI document are both made from the table, so that they cannot
 * differ. What comes in is checked here, once; what goes out passes the redaction.
 */
import type { HttpBindings } from '@hono/node-server';
import type { Context, Hono } from 'hono';
import { z } from 'zod';
import { complaintOf } from './complaint.ts';
import { RequestFailure } from './failures.ts';
import type { Redact } from './redact.ts';
import type { Studio } from './studio.ts';

export interface Given<Query, Body> {
  /** Of the path. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: Query;
  readonly body: Body;
  /** Aborted when the client goes away. */
  readonly signal: AbortSignal;
  /** Cuts the client's connection. */
  readonly drop: () => void;
  readonly header: (name: string) => string | undefined;
}

export interface Route<Query = unknown, Body = unknown, Answer = unknown> {
  readonly method: 'get' | 'post' | 'delete';
  /** With `:name` for what varies. */
  readonly path: string;
  /** One sentence for the document. */
  readonly summary: string;
  readonly query?: z.ZodType<Query>;
  readonly body?: z.ZodType<Body>;
  /** Of the JSON that it answers; for a stream the schemas of its events. */
  readonly answer: z.ZodType<Answer> | { readonly events: Readonly<Record<string, z.ZodType>> };
  /** @default 200 */
  readonly status?: number;
  /** An answer as JSON, or a whole response. */
  readonly handle: (
    given: Given<Query, Body>,
    studio: Studio,
  ) => Answer | Response | Promise<Answer | Response>;
}

/** Declares a route; types of what comes in and goes out come from its schemas. */
export function route<Query = undefined, Body = undefined, Answer = unknown>(
  definition: Route<Query, Body, Answer>,
): Route {
  return definition as unknown as Route;
}

/** Ids of runs and comparisons; anything else is not looked up. */
const PARAM = /^[A-Za-z0-9][A-Za-z0-9-]{0,63}$/;

export function register(app: Hono, routes: readonly Route[], studio: Studio): void {
  for (const one of routes) {
    app.on(one.method.toUpperCase(), one.path, async (c) => {
      const answer = await one.handle(await readRequest(c, one), studio);
      if (answer instanceof Response) return answer;
      return new Response(toJson(answer, studio.redact), {
        status: one.status ?? 200,
        headers: { 'content-type': 'application/json; charset=utf-8' },
      });
    });
  }
}

async function readRequest(c: Context, { query, body }: Route): Promise<Given<unknown, unknown>> {
  const params = c.req.param() as Record<string, string>;
  for (const value of Object.values(params)) {
    if (!PARAM.test(value)) throw new RequestFailure(404, 'not-found', 'no run or comparison has such an id'); // biome-ignore format: one sentence
  }
  return {
    params,
    query: query ? checked(query, c.req.query(), 'query') : undefined,
    body: body ? checked(body, await jsonOf(c), 'body') : undefined,
    signal: c.req.raw.signal,
    drop: () => (c.env as HttpBindings).outgoing.destroy(),
    header: (name) => c.req.header(name),
  };
}

async function jsonOf(c: Context): Promise<unknown> {
  const text = await c.req.text();
  try {
    return JSON.parse(text);
  } catch {
    throw new RequestFailure(400, 'usage', 'body: expected JSON');
  }
}

function checked<T>(schema: z.ZodType<T>, value: unknown, what: string): T {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues as [z.core.$ZodIssue];
  const { param, sentence } = complaintOf(issue, value);
  const place = param === '' ? what : `${what}.${param}`;
  throw new RequestFailure(400, 'usage', `${place}: ${sentence}`);
}

/** JSON whose texts hold no secret. */
export function toJson(value: unknown, redact: Redact): string {
  return JSON.stringify(value, (_, part) => (typeof part === 'string' ? redact(part) : part));
}

/** A whole number of a query. */
export function whole(low: number, high: number, otherwise: number) {
  return z.coerce.number().int().min(low).max(high).default(otherwise);
}
