/**
 * GET requests with patience: connection and silence limits, retries with Retry-After, redirects
 * that never carry the token to another host. Leaves out everything but GET.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { NetworkError } from '../errors.ts';

export interface HttpLimits {
  /** Time until the answer's head must be there. */
  readonly connectMs: number;
  /** Time without a byte after which the connection counts as dead. */
  readonly idleMs: number;
  /** Failures in a row, without a byte gained, after which we give up. */
  readonly attempts: number;
  /** First pause after a failure; doubles each time. */
  readonly backoffMs: number;
  /** Longest wait that we accept from a server. */
  readonly maxWaitMs: number;
}

export const defaultLimits: HttpLimits = {
  connectMs: 5_000,
  idleMs: 30_000,
  attempts: 4,
  backoffMs: 500,
  maxWaitMs: 120_000,
};

export interface RequestOptions {
  /** Sent as a bearer token, to the first host only. */
  readonly token?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal | undefined;
  readonly limits?: HttpLimits | undefined;
  /** Told why nothing moves. */
  readonly onWait?: ((reason: string) => void) | undefined;
}

/** A failure that another attempt may cure; `afterMs` is what the server asked for. */
export class Retryable extends Error {
  readonly afterMs: number | undefined;
  /** No server was reached: a second try is enough. */
  readonly isUnreachable: boolean;
  constructor(message: string, afterMs?: number, isUnreachable = false) {
    super(message);
    this.afterMs = afterMs;
    this.isUnreachable = isUnreachable;
  }
}

/**
 * A small JSON document.
 * @throws NetworkError
 */
export async function fetchJson(url: string, options: RequestOptions): Promise<unknown> {
  let text = '';
  await retrying(
    url,
    options,
    () => 0,
    async () => {
      const response = await request(url, options);
      refuseStatus(url, response);
      const pieces: Buffer[] = [];
      let size = 0;
      for await (const chunk of bodyOf(response, options)) {
        size += chunk.length;
        if (size > 32 * 2 ** 20) throw new NetworkError(`${url}: the answer is larger than 32 MB`);
        pieces.push(Buffer.from(chunk));
      }
      text = Buffer.concat(pieces).toString('utf8');
    },
  );
  try {
    return JSON.parse(text);
  } catch {
    throw new NetworkError(`${url}: expected JSON, got ${JSON.stringify(text.slice(0, 40))}`);
  }
}

/** Runs `attempt` until it succeeds; gains in bytes start the count of failures afresh. */
export async function retrying(
  url: string,
  options: RequestOptions,
  gained: () => number,
  attempt: () => Promise<void>,
): Promise<void> {
  const limits = options.limits ?? defaultLimits;
  for (let failures = 0, before = gained(); ; before = gained()) {
    try {
      return await attempt();
    } catch (error) {
      options.signal?.throwIfAborted();
      if (!(error instanceof Retryable)) throw error;
      failures = gained() > before ? 1 : failures + 1;
      const afterMs = error.afterMs ?? limits.backoffMs * 2 ** (failures - 1);
      const attempts = error.isUnreachable ? Math.min(2, limits.attempts) : limits.attempts;
      if (failures >= attempts || afterMs > limits.maxWaitMs) {
        throw new NetworkError(`${url}: ${error.message}, gave up after ${failures} attempts`);
      }
      options.onWait?.(`${error.message}, next try in ${Math.ceil(afterMs / 1000)} s`);
      await sleep(afterMs, undefined, { signal: options.signal });
    }
  }
}

/** A GET that follows redirects itself, so that the token never reaches another host. */
export async function request(url: string, options: RequestOptions): Promise<Response> {
  const origin = new URL(url).origin;
  let target = new URL(url);
  for (let hop = 0; hop < 8; hop++) {
    const headers: Record<string, string> = { 'user-agent': 'whetstone', ...options.headers };
    if (options.token && target.origin === origin)
      headers.authorization = `Bearer ${options.token}`;
    const response = await connect(target, headers, options);
    const location = response.headers.get('location');
    if (response.status < 300 || response.status > 399 || location === null) return response;
    await response.body?.cancel();
    const next = new URL(location, target);
    if (target.protocol === 'https:' && next.protocol !== 'https:') {
      throw new NetworkError(`${url}: refused a redirect from https to ${next.protocol}`);
    }
    target = next;
  }
  throw new NetworkError(`${url}: more than 8 redirects`);
}

async function connect(
  target: URL,
  headers: Record<string, string>,
  options: RequestOptions,
): Promise<Response> {
  const { connectMs } = options.limits ?? defaultLimits;
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(new Error('timeout')), connectMs);
  // The caller's signal stays on the body, to end a transfer; the timer ends with the head.
  const signals = options.signal ? [timeout.signal, options.signal] : [timeout.signal];
  try {
    options.signal?.throwIfAborted();
    return await fetch(target, { headers, redirect: 'manual', signal: AbortSignal.any(signals) });
  } catch (error) {
    options.signal?.throwIfAborted();
    throw new Retryable(connectionProblem(error, target, connectMs), undefined, true);
  } finally {
    clearTimeout(timer);
  }
}

function connectionProblem(error: unknown, target: URL, connectMs: number): string {
  const cause = (error as { cause?: { code?: string } }).cause?.code;
  if (cause === 'ENOTFOUND' || cause === 'EAI_AGAIN') return `no address for ${target.host}`;
  if (cause === 'ECONNREFUSED') return `${target.host} refuses connections`;
  if (error instanceof Error && /timeout/.test(error.message)) {
    return `no answer from ${target.host} within ${connectMs / 1000} s`;
  }
  return `cannot reach ${target.host}${cause ? ` (${cause})` : ''}`;
}

/** @throws NetworkError or Retryable for anything but 200 and 206 */
export function refuseStatus(url: string, response: Response): void {
  const { status } = response;
  if (status === 200 || status === 206) return;
  response.body?.cancel().catch(() => {}); // nobody reads it: the status says all
  if (status === 401 || status === 403) {
    throw new NetworkError(
      `${url}: access refused (${status}); accept the model's terms on its page and set HF_TOKEN`,
    );
  }
  if (status === 404) throw new NetworkError(`${url}: not found (404)`);
  if (status === 408 || status === 429 || status >= 500) {
    const afterMs = retryAfterMs(response.headers.get('retry-after'));
    throw new Retryable(`the server answered ${status}`, afterMs);
  }
  throw new NetworkError(`${url}: the server answered ${status}`);
}

/** Milliseconds of a Retry-After header: seconds or a date; undefined when it says neither. */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - Date.now());
}

/** The body's chunks; silence longer than the limit, or a cut, is Retryable. */
export async function* bodyOf(
  response: Response,
  options: RequestOptions,
): AsyncGenerator<Uint8Array> {
  if (response.body === null) return;
  const { idleMs } = options.limits ?? defaultLimits;
  const reader = response.body.getReader();
  try {
    for (;;) {
      let timer: NodeJS.Timeout | undefined;
      const silence = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Retryable(`no byte for ${idleMs / 1000} s`)), idleMs);
      });
      const next = await Promise.race([reader.read(), silence])
        .catch((error: unknown) => {
          options.signal?.throwIfAborted();
          throw error instanceof Retryable ? error : new Retryable('the connection was cut');
        })
        .finally(() => clearTimeout(timer));
      if (next.done) return;
      yield next.value;
    }
  } finally {
    await reader.cancel().catch(() => {}); // already broken: that is why we are here
  }
}
