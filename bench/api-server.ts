/**
 * A chat-completions server of fixed latency that can also behave badly: refusals with every kind of
 * Retry-After, server errors, hangs, cut bodies, broken JSON. It keeps its own account by question (the
 * content of the last message) and charges for every answer that it computed, whether or not it got
 * through. Run as a process of its own it takes its settings and gives its account by messages.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { createRng } from '../src/util/rng.ts';

export interface ServerSettings {
  readonly latencyMs: number;
  /** Shares of requests; 0 where left out. */
  readonly limited?: number;
  readonly failed?: number;
  readonly hung?: number;
  /** After which a hung connection is closed. @default never */
  readonly hangMs?: number;
  readonly cut?: number;
  readonly broken?: number;
  readonly seed?: number;
}

export interface Account {
  readonly requests: number;
  readonly mostUnderWay: number;
  /** Whole answers that went out. */
  readonly answered: number;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Answers that were computed and cut or broken on their way. */
  readonly spoilt: number;
  readonly spoiltInputTokens: number;
  readonly spoiltOutputTokens: number;
  /** Questions that were answered whole more than once. */
  readonly paidTwice: number;
  /** Requests that came before the time that their question was told to wait. */
  readonly early: number;
}

export interface ApiServer {
  readonly baseUrl: string;
  account(): Account;
  close(): Promise<void>;
}

const JSON_TYPE = { 'content-type': 'application/json' };

export async function startApiServer(settings: ServerSettings): Promise<ApiServer> {
  const rng = createRng(settings.seed ?? 1);
  const answersOf = new Map<string, number>();
  const notBefore = new Map<string, number>();
  const sums = { requests: 0, mostUnderWay: 0, inputTokens: 0, outputTokens: 0 };
  const spoilt = { spoilt: 0, spoiltInputTokens: 0, spoiltOutputTokens: 0 };
  let underWay = 0;
  let limited = 0;
  let early = 0;

  const handle = (question: string, response: http.ServerResponse) => {
    // What a call costs follows from the question, so that both sides can work it out.
    const answer = `Answer to ${question}`;
    const usage = { prompt_tokens: question.length, completion_tokens: 1 + (question.length % 5) };
    const body = JSON.stringify({
      id: 'c',
      object: 'chat.completion',
      created: 0,
      model: 'm',
      choices: [
        { index: 0, message: { role: 'assistant', content: answer }, finish_reason: 'stop' },
      ],
      usage: { ...usage, total_tokens: usage.prompt_tokens + usage.completion_tokens },
    });
    const length = { 'content-length': Buffer.byteLength(body) };
    const luck = rng.next();
    const { limited: l = 0, failed = 0, hung = 0, cut = 0, broken = 0 } = settings;
    if (luck < l) {
      const { headers, waitMs } = retryAfter(limited++);
      notBefore.set(question, Date.now() + waitMs);
      response.writeHead(429, { ...JSON_TYPE, ...headers });
      response.end('{"error":{"message":"Rate limit reached"}}');
    } else if (luck < l + failed) {
      response.writeHead(500, JSON_TYPE);
      response.end('{"error":{"message":"The server had an error"}}');
    } else if (luck < l + failed + hung) {
      if (settings.hangMs !== undefined) setTimeout(() => response.destroy(), settings.hangMs);
    } else if (luck < l + failed + hung + cut + broken) {
      spoilt.spoilt++;
      spoilt.spoiltInputTokens += usage.prompt_tokens;
      spoilt.spoiltOutputTokens += usage.completion_tokens;
      const isCut = luck < l + failed + hung + cut;
      const half = body.slice(0, body.length / 2);
      response.writeHead(200, isCut ? { ...JSON_TYPE, ...length } : JSON_TYPE);
      if (isCut) response.write(half, () => response.destroy());
      else response.end(half);
    } else {
      answersOf.set(question, (answersOf.get(question) ?? 0) + 1);
      sums.inputTokens += usage.prompt_tokens;
      sums.outputTokens += usage.completion_tokens;
      response.writeHead(200, { ...JSON_TYPE, ...length });
      response.end(body);
    }
  };

  const server = http.createServer((request, response) => {
    sums.requests++;
    sums.mostUnderWay = Math.max(sums.mostUnderWay, ++underWay);
    response.once('close', () => underWay--);
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', () => {
      const { messages } = JSON.parse(Buffer.concat(pieces).toString('utf8')) as {
        messages: { content: string }[];
      };
      const question = messages.at(-1)!.content;
      if (Date.now() < (notBefore.get(question) ?? 0)) early++;
      setTimeout(() => handle(question, response), settings.latencyMs);
    });
  });
  server.keepAliveTimeout = 60_000;
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const counts = () => [...answersOf.values()];
  return {
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    account: () => ({
      ...sums,
      answered: counts().reduce((sum, n) => sum + n, 0),
      ...spoilt,
      paidTwice: counts().filter((n) => n > 1).length,
      early,
    }),
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}

/** Every kind in turn; the long ones seldom, since all of the key waits for them. */
function retryAfter(number: number): { headers: Record<string, string>; waitMs: number } {
  if (number % 500 === 250) return { headers: { 'retry-after': '1' }, waitMs: 1000 };
  if (number % 500 === 499) {
    const date = new Date(Math.floor(Date.now() / 1000) * 1000 + 2000);
    return { headers: { 'retry-after': date.toUTCString() }, waitMs: date.getTime() - Date.now() };
  }
  if (number % 4 === 0) return { headers: {}, waitMs: 0 };
  if (number % 4 === 1) return { headers: { 'retry-after': 'soon, please' }, waitMs: 0 };
  const ms = 20 + (number % 60);
  return { headers: { 'retry-after-ms': String(ms) }, waitMs: ms };
}

if (process.send && process.argv[2] === 'serve') {
  let server: ApiServer | undefined;
  process.on('message', async (message: ServerSettings | 'account') => {
    if (message === 'account') process.send!(server!.account());
    else {
      server = await startApiServer(message);
      process.send!(server.baseUrl);
    }
  });
  process.on('disconnect', () => process.exit(0));
}
