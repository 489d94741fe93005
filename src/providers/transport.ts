/**
 * One HTTP POST with its whole answer, over node:http. The built-in `fetch` costs four times the
 * processor time (0.33 ms against 0.08 ms a call), which is what bounds an evaluation of many short
 * calls. Redirects are not followed, so that a key never reaches another host.
 *
 * `asResponse` hands an answer to the AI SDK in the form of a `Response` with the members that it
 * reads of one: building a real one costs more than the call's own work.
 */
import http from 'node:http';
import https from 'node:https';

export interface HttpRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
  readonly signal: AbortSignal;
  /** Told the pieces of a body as they arrive, before the whole of it is there. */
  readonly onPiece?: OnPiece | undefined;
}

export type OnPiece = (piece: Uint8Array, head: Omit<HttpAnswer, 'body'>) => void;

export interface HttpAnswer {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

/** Sends a request. @throws ConnectionFailure, or the signal's reason */
export type Send = (request: HttpRequest) => Promise<HttpAnswer>;

/** No whole answer came. */
export class ConnectionFailure extends Error {
  /** True where the server may have done the work. */
  readonly mayBePaid: boolean;
  constructor(message: string, mayBePaid: boolean) {
    super(message);
    this.mayBePaid = mayBePaid;
  }
}

const MAX_BODY_BYTES = 32 * 2 ** 20;
/** Shorter than the 5 s after which common servers close an idle connection under our hands. */
const IDLE_SOCKET_MS = 4000;

/** A sender with its own connections, kept open between requests until `close`. */
export function createSender(): { readonly send: Send; close(): void } {
  const settings = { keepAlive: true, timeout: IDLE_SOCKET_MS, scheduling: 'lifo' as const };
  const targets = new Map<string, Target>();
  return {
    send: (request) => {
      const target = targets.get(request.url) ?? targetOf(request.url, settings);
      targets.set(request.url, target);
      return post(request, target);
    },
    close: () => {
      for (const { agent } of targets.values()) agent.destroy();
    },
  };
}

/** An address, taken apart once. */
interface Target {
  readonly isTls: boolean;
  readonly agent: http.Agent;
  readonly place: { readonly host: string; readonly port: string; readonly path: string };
}

function targetOf(address: string, settings: http.AgentOptions): Target {
  const url = new URL(address);
  const isTls = url.protocol === 'https:';
  const agent = isTls ? new https.Agent(settings) : new http.Agent(settings);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  return { isTls, agent, place: { host, port: url.port, path: url.pathname + url.search } };
}

function post(
  { headers, body, signal, onPiece }: HttpRequest,
  target: Target,
): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const { isTls, agent, place } = target;
    const length = { 'content-length': Buffer.byteLength(body), 'accept-encoding': 'identity' };
    const settings = { ...place, agent, method: 'POST', headers: { ...headers, ...length } };
    const request = (isTls ? https : http).request(settings);
    let isConnected = false;
    const finish = (end: () => void) => {
      signal.removeEventListener('abort', onAbort);
      end();
    };
    const fail = (error: Error) =>
      finish(() => reject(signal.aborted ? signal.reason : failureOf(error, isConnected)));
    const onAbort = () => request.destroy(new Error('aborted'));
    signal.addEventListener('abort', onAbort, { once: true });
    request.on('socket', (socket) => {
      if (!socket.connecting) isConnected = true;
      else socket.once(isTls ? 'secureConnect' : 'connect', () => (isConnected = true));
    });
    request.on('error', fail);
    request.on('response', (response) => {
      const head = {
        status: response.statusCode ?? 0,
        headers: response.headers as Record<string, string | undefined>,
      };
      const pieces: Buffer[] = [];
      let size = 0;
      response.on('data', (piece: Buffer) => {
        size += piece.length;
        if (size > MAX_BODY_BYTES) {
          request.destroy(new Error('the answer is larger than 32 MB'));
          return;
        }
        pieces.push(piece);
        onPiece?.(piece, head);
      });
      response.on('error', fail);
      response.on('end', () => {
        finish(() => resolve({ ...head, body: Buffer.concat(pieces).toString('utf8') }));
      });
    });
    if (signal.aborted) onAbort();
    else request.end(body); // as text it leaves in one piece with the head
  });
}

/** A sender over somebody's `fetch`. */
export function sendByFetch(fetch: typeof globalThis.fetch): Send {
  return async ({ url, headers, body, signal, onPiece }) => {
    try {
      const settings = { method: 'POST', headers, body, signal, redirect: 'manual' } as const;
      const response = await fetch(url, settings);
      const head = { status: response.status, headers: Object.fromEntries(response.headers) };
      return { ...head, body: await textOf(response, (piece) => onPiece?.(piece, head)) };
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error;
      throw failureOf(cause as Error, !isUnsent(cause));
    }
  };
}

async function textOf(response: Response, onPiece: (piece: Uint8Array) => void): Promise<string> {
  const decoder = new TextDecoder();
  const reader = response.body?.getReader();
  let text = '';
  for (let read = await reader?.read(); read && !read.done; read = await reader!.read()) {
    onPiece(read.value);
    text += decoder.decode(read.value, { stream: true });
  }
  return text + decoder.decode();
}

const UNSENT = ['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'];

function isUnsent(error: unknown): boolean {
  return UNSENT.includes((error as NodeJS.ErrnoException).code ?? '');
}

function failureOf(error: Error, mayBePaid: boolean): ConnectionFailure {
  const { code } = error as NodeJS.ErrnoException;
  const message =
    code === 'ECONNREFUSED'
      ? 'refuses connections'
      : code === 'ENOTFOUND' || code === 'EAI_AGAIN'
        ? 'has no address that can be found'
        : mayBePaid
          ? `cut the connection${code ? ` (${code})` : ''}`
          : `cannot be reached${code ? ` (${code})` : ''}`;
  return new ConnectionFailure(message, mayBePaid);
}

/** What the AI SDK reads while it arrives; undefined where the answer came and was no stream of events. */
export function responseOfStream(
  send: (onPiece: OnPiece) => Promise<unknown>,
): Promise<Response | undefined> {
  return new Promise((resolve, reject) => {
    let pieces: ReadableStreamDefaultController<Uint8Array> | undefined;
    let isRead = true;
    const open = () => {
      const body = new ReadableStream<Uint8Array>({
        start(controller) {
          pieces = controller;
        },
        cancel() {
          isRead = false;
        },
      });
      resolve(new Response(body));
    };
    const onPiece: OnPiece = (piece, { status, headers }) => {
      const type = headers['content-type'] ?? '';
      if (status !== 200 || !/^text\/event-stream\b/i.test(type)) return;
      if (!pieces) open();
      if (isRead) pieces!.enqueue(piece);
    };
    send(onPiece).then(
      () => {
        if (!pieces) resolve(undefined);
        else if (isRead) pieces.close();
      },
      (error) => {
        if (!pieces) reject(error);
        else if (isRead) pieces.error(error);
      },
    );
  });
}

const NO_HEADERS = new Headers();

/** What the AI SDK reads of a successful response. */
export function asResponse(body: string): Response {
  const chunks = [Buffer.from(body)];
  const reader = {
    read: async () => {
      const value = chunks.pop();
      return value ? { done: false, value } : { done: true };
    },
    cancel: async () => {},
    releaseLock: () => {},
  };
  const response = {
    ok: true,
    status: 200,
    statusText: 'OK',
    headers: NO_HEADERS,
    body: { getReader: () => reader },
  };
  return response as unknown as Response;
}
