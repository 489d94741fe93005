/**
 * Opens a port for an application that answers requests: on loopback unless it is told otherwise,
 * patient with nobody. A client that sends its request too slowly or not at all is answered 408 and
 * closed, connections have a cap, and a request that names another host in its Host header (DNS
 * rebinding) is answered 421 before the application sees it.
 *
 * Leaves out TLS: who opens a port to other machines puts a proxy in front of it.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { hostname, networkInterfaces } from 'node:os';
import { getRequestListener, type HttpBindings } from '@hono/node-server';
import { ConfigError } from '../errors.ts';
import { isNamed, securityHeaders } from './guard.ts';

/** An application as Hono makes it: `app.fetch`. */
export type Answer = (request: Request, bindings: HttpBindings) => Response | Promise<Response>;

export interface ListenOptions {
  /** 0 takes any that is free. */
  readonly port: number;
  /** @default 127.0.0.1 */
  readonly host?: string | undefined;
  /** Time that a request may take to arrive, its body included. @default 60_000 */
  readonly requestMs?: number | undefined;
  /** Time without a byte in either direction after which a connection is closed. @default 900_000 */
  readonly silenceMs?: number | undefined;
  /** @default 2048 */
  readonly maxConnections?: number | undefined;
}

export interface Address {
  readonly host: string;
  readonly port: number;
  /** Names under which a Host header may call it, without the port. */
  readonly names: readonly string[];
  /** As a person on this machine would type it: "http://127.0.0.1:4000". */
  readonly url: string;
}

export interface Listening extends Address {
  /** Lets requests in hand end for so long, then closes all. @default 2000 */
  close(graceMs?: number): Promise<void>;
}

type FetchCallback = Parameters<typeof getRequestListener>[0];

/** Names of this machine's own loopback addresses. */
const LOOPBACK = ['localhost', '127.0.0.1', '[::1]'];
const ANY = ['0.0.0.0', '::'];

/**
 * Opens the port and gives the application its address, which a port 0 decides late.
 * @throws ConfigError when the port is taken or not allowed, or the host is none of this machine
 */
export async function listen(
  { port, host = '127.0.0.1', ...limits }: ListenOptions,
  application: (address: Address) => Answer,
): Promise<Listening> {
  const { requestMs = 60_000, silenceMs = 900_000, maxConnections = 2048 } = limits;
  const server = createServer({
    headersTimeout: requestMs,
    requestTimeout: requestMs,
    keepAliveTimeout: requestMs,
    connectionsCheckingInterval: Math.min(5000, Math.ceil(requestMs / 4)),
    maxHeaderSize: 16 * 1024,
  });
  server.maxConnections = maxConnections;
  server.setTimeout(silenceMs);
  await open(server, port, host);
  const address = addressOf(server, host);
  const answer = getRequestListener(application(address) as FetchCallback, {
    overrideGlobalObjects: false,
  });
  server.on('request', (incoming, outgoing) => {
    if (isForUs(incoming, address)) void answer(incoming, outgoing);
    else refuse(incoming, outgoing, address);
  });
  return { ...address, close: (graceMs = 2000) => close(server, graceMs) };
}

/** True for addresses that nobody but this machine reaches. */
export function isLoopback(host: string): boolean {
  return /^(localhost|127(\.\d{1,3}){3}|\[?::1\]?)$/i.test(host);
}

function open(server: Server, port: number, host: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      reject(new ConfigError(problemOf(error, port, host)));
    });
    server.listen({ port, host: host.replace(/^\[|\]$/g, ''), exclusive: true }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function problemOf({ code, message }: NodeJS.ErrnoException, port: number, host: string): string {
  if (code === 'EADDRINUSE') {
    return `port ${port}: in use by another program, give another by --port, or --port 0 for any that is free`;
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return `port ${port}: not allowed to this user, give one above 1023 by --port`;
  }
  if (code === 'EADDRNOTAVAIL' || code === 'ENOTFOUND' || code === 'EAI_AGAIN') {
    return `--host ${host}: is no address of this machine`;
  }
  return `port ${port} on ${host}: cannot be opened (${code ?? message})`;
}

function addressOf(server: Server, host: string): Address {
  const { port } = server.address() as { port: number };
  const bare = host.replace(/^\[|\]$/g, '');
  const shown = ANY.includes(bare) ? '127.0.0.1' : bracketed(bare);
  return { host: bare, port, names: namesOf(bare), url: `http://${shown}:${port}` };
}

/** A name that is reached from elsewhere is one that was asked for, or an address of this machine. */
function namesOf(host: string): string[] {
  if (isLoopback(host)) return LOOPBACK;
  const own = Object.values(networkInterfaces()).flatMap((all) => all ?? []);
  const others = ANY.includes(host)
    ? [hostname().toLowerCase(), ...own.map(({ address }) => bracketed(address.split('%')[0]!))]
    : [bracketed(host.toLowerCase())];
  return [...new Set([...LOOPBACK, ...others])];
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

/** One Host header that names us with our port, and a path, not a whole address, in the first line. */
function isForUs({ rawHeaders, url = '' }: IncomingMessage, address: Address): boolean {
  const hosts = rawHeaders.filter((_, i) => i % 2 === 1 && /^host$/i.test(rawHeaders[i - 1]!));
  return hosts.length === 1 && isNamed(hosts[0]!, address) && url.startsWith('/');
}

function refuse(incoming: IncomingMessage, outgoing: ServerResponse, { url }: Address): void {
  const message = `this server answers under its own address alone: ${url}`;
  // Also as clients of OpenAI's API read it: which of the two speaks is not known here.
  const error = { message, type: 'invalid_request_error', param: null, code: 'refused' };
  const body = JSON.stringify({ code: 'refused', message, error });
  // What it still sends is not read.
  outgoing.writeHead(421, {
    ...securityHeaders,
    'content-type': 'application/json; charset=utf-8',
    'content-length': Buffer.byteLength(body),
    connection: 'close',
  });
  outgoing.end(incoming.method === 'HEAD' ? undefined : body);
}

function close(server: Server, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => server.closeAllConnections(), graceMs);
    server.close(() => {
      clearTimeout(timer);
      resolve();
    });
    server.closeIdleConnections();
  });
}
