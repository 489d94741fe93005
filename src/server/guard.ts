/**
 * What stands before every route: who may ask, how much may be sent, and the headers of every answer.
 * A page of another origin gets nothing (Origin, Sec-Fetch-Site), bodies are JSON and bounded, and no
 * answer ever carries a CORS header. The Host header is checked in listen.ts, before routes are looked at.
 *
 * Leaves out who somebody is: that is the launch token's part (session.ts) or an API key's.
 */
import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import type { ApiError } from './contract.ts';

export interface GuardOptions {
  /** Paths that a person may open by a link: static files, the launch address. @default none */
  readonly isOpen?: (path: string) => boolean;
  /** @default 10 MB */
  readonly maxBodyBytes?: number;
}

const MAX_BODY_BYTES = 10 * 2 ** 20;
const METHODS = ['GET', 'HEAD', 'POST', 'DELETE'];

/** Of every answer. Scripts and styles come from files of our own; nothing is loaded from elsewhere. */
export const securityHeaders: Readonly<Record<string, string>> = {
  'content-security-policy': [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "manifest-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'permissions-policy': 'camera=(), geolocation=(), microphone=(), payment=(), usb=()',
};

/** True where a Host header says one of the names with exactly the port. */
export function isNamed(
  host: string,
  { names, port }: { readonly names: readonly string[]; readonly port: number },
): boolean {
  const given = host.toLowerCase();
  // Clients leave out the usual port.
  return names.some((name) => given === `${name}:${port}` || (port === 80 && given === name));
}

/** Refuses what another site's page sends, and what is too large; puts the headers on. */
export function guard({
  isOpen = () => false,
  maxBodyBytes = MAX_BODY_BYTES,
}: GuardOptions = {}): MiddlewareHandler<{ Bindings: HttpBindings }> {
  return async (c, next) => {
    const refused = problemOf(c, isOpen(c.req.path));
    if (refused) c.res = failure(c, ...refused);
    else if (await isTooLarge(c, maxBodyBytes)) {
      const megabytes = Math.round(maxBodyBytes / 2 ** 20);
      const message = `the request is larger than ${megabytes} MB, send less at once`;
      c.res = failure(c, 413, { code: 'refused', message });
      // The rest of it is not waited for.
      c.res.headers.set('connection', 'close');
    } else await next();
    for (const [name, value] of Object.entries(securityHeaders)) c.res.headers.set(name, value);
    if (!c.res.headers.has('cache-control')) c.res.headers.set('cache-control', 'no-store');
  };
}

/** An answer that says what went wrong, as every route does. */
export function failure(c: Context, status: number, error: ApiError): Response {
  return c.json(error, status as 400);
}

/** By what it says of its length, or, where it does not say, by reading it; what was read is kept. */
async function isTooLarge({ req }: Context, most: number): Promise<boolean> {
  if (req.method !== 'POST') return false;
  const length = req.header('content-length');
  if (length !== undefined && req.header('transfer-encoding') === undefined) {
    return Number(length) > most;
  }
  const decoder = new TextDecoder();
  let [text, bytes] = ['', 0];
  for await (const chunk of req.raw.body ?? []) {
    bytes += chunk.length;
    if (bytes > most) return true;
    text += decoder.decode(chunk, { stream: true });
  }
  // Hono keeps the promise of a text there, whatever its type says.
  req.bodyCache.text = Promise.resolve(text + decoder.decode()) as never;
  return false;
}

function problemOf(c: Context, isOpen: boolean): [status: number, error: ApiError] | undefined {
  const { method } = c.req;
  const refused = (status: number, message: string): [number, ApiError] => [
    status,
    { code: 'refused', message },
  ];
  if (!METHODS.includes(method)) {
    return refused(405, `${method} is not answered here; GET, POST and DELETE are`);
  }
  const origin = c.req.header('origin');
  // The Host header was checked, so what it says is this server.
  if (origin !== undefined && origin !== `http://${c.req.header('host')?.toLowerCase()}`) {
    return refused(403, 'a page of another origin asks, which this server does not answer');
  }
  const site = c.req.header('sec-fetch-site');
  const isRead = method === 'GET' || method === 'HEAD';
  const isOwn = site === undefined || site === 'same-origin' || (site === 'none' && isRead);
  if (!isOwn && !(isOpen && isRead)) {
    return refused(403, 'a page of another site asks, which this server does not answer');
  }
  if (method === 'POST' && !isJson(c.req.header('content-type'))) {
    return refused(415, 'expected a body of the type application/json');
  }
  return undefined;
}

function isJson(type: string | undefined): boolean {
  return /^application\/json\s*(;|$)/i.test(type ?? '');
}
