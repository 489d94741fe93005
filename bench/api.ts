/**
 * Calls to a task LM behind an API, over a loopback server of fixed latency in a process of its own:
 * the share of the ideal throughput (concurrency / latency), and what a storm of refusals, errors,
 * hangs and cut bodies loses, pays twice or spends over the cap.
 */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { BudgetError } from '../src/errors.ts';
import {
  type Completion,
  costUsd,
  isFailure,
  Ledger,
  openTextModel,
  type ResponseCache,
  type TextRequest,
} from '../src/providers/index.ts';
import type { Account, ServerSettings } from './api-server.ts';

const CONCURRENCY = 64;
const LATENCY_MS = 50;
const WARM_UP = 256;
/** Dollars per million tokens, such that sums are exact. */
const PRICE = { input: 1, output: 2 };

export async function benchApi(calls: number): Promise<object> {
  const calm = await runCalm(calls);
  const storm = await runStorm(calls);
  const capped = await runStorm(calls, storm.usd / 2);
  const sum = (key: 'lost' | 'paidTwice' | 'overCap' | 'early') => storm[key] + capped[key];
  return {
    bench: 'api',
    calls,
    concurrency: CONCURRENCY,
    latencyMs: LATENCY_MS,
    ...calm,
    lost: sum('lost'),
    paidTwice: sum('paidTwice'),
    overCap: sum('overCap'),
    early: sum('early'),
    ledgerEqualsServer: storm.ledgerEqualsServer && capped.ledgerEqualsServer,
    storm,
    capped,
  };
}

async function runCalm(calls: number) {
  const server = await startServer({ latencyMs: LATENCY_MS });
  const model = openModel(server.baseUrl, new Ledger());
  await model.complete(questions(WARM_UP, 'warm-up'));
  const before = process.cpuUsage();
  const begun = performance.now();
  const answers = await model.complete(questions(calls, 'calm'));
  const seconds = (performance.now() - begun) / 1000;
  const { user, system } = process.cpuUsage(before);
  const { mostUnderWay } = await server.account();
  await model.close();
  server.stop();
  if (answers.some(isFailure)) throw new Error('bench api: a call of the calm run failed');
  const idealSeconds = ((calls / CONCURRENCY) * LATENCY_MS) / 1000;
  return {
    seconds,
    idealSeconds,
    shareOfIdeal: idealSeconds / seconds,
    callsPerSecond: calls / seconds,
    cpuMsPerCall: (user + system) / 1000 / calls,
    mostUnderWay,
  };
}

async function runStorm(calls: number, capUsd?: number) {
  const shares = { limited: 0.3, failed: 0.1, hung: 0.005, cut: 0.03, broken: 0.01 };
  const server = await startServer({ latencyMs: 5, ...shares, seed: capUsd === undefined ? 1 : 2 });
  const ledger = new Ledger({ usd: capUsd });
  const kept = new Map<string, Completion>();
  const cache: ResponseCache = {
    get: (key) => kept.get(key),
    set: (key, answer) => void kept.set(key, answer),
  };
  const model = openModel(server.baseUrl, ledger, cache);
  const begun = performance.now();
  const answers = await model.complete(questions(calls, 'storm')).catch((error: unknown) => {
    if (error instanceof BudgetError && capUsd !== undefined) return [];
    throw error;
  });
  const seconds = (performance.now() - begun) / 1000;
  const account = await server.account();
  await model.close();
  server.stop();
  const line = ledger.line();
  const usd = (input: number, output: number) =>
    costUsd(PRICE, { inputTokens: input, outputTokens: output });
  const charged = usd(account.inputTokens, account.outputTokens);
  const spoilt = usd(account.spoiltInputTokens, account.spoiltOutputTokens);
  return {
    seconds,
    requests: account.requests,
    answered: account.answered,
    retries: line.retries,
    usd: charged,
    spoiltUsd: spoilt,
    capUsd: capUsd ?? null,
    // Requests without an answer, and answers that were paid and are not kept.
    lost: answers.filter(isFailure).length + Math.max(0, account.answered - kept.size),
    paidTwice: account.paidTwice,
    overCap: capUsd === undefined ? 0 : Math.max(0, charged + spoilt - capUsd),
    early: account.early,
    ledgerEqualsServer:
      line.calls === account.answered &&
      line.inputTokens === account.inputTokens &&
      line.outputTokens === account.outputTokens &&
      Math.abs(line.usd! - charged) < 1e-9 &&
      ledger.unconfirmed.usd >= spoilt,
  };
}

function openModel(baseUrl: string, ledger: Ledger, cache?: ResponseCache) {
  return openTextModel(
    {
      provider: 'openai-compatible',
      model: 'm',
      baseUrl,
      concurrency: CONCURRENCY,
      price: PRICE,
      timeoutSeconds: 10,
    },
    { env: {}, ledger, cache, patience: { backoffMs: 20, maxBackoffMs: 200 } },
  );
}

function questions(count: number, name: string): TextRequest[] {
  return Array.from({ length: count }, (_, i) => ({
    messages: [
      { role: 'user', content: `${name} ${i}: is this review positive or negative? ${i % 97}` },
    ],
    maxTokens: 8,
  }));
}

async function startServer(settings: ServerSettings): Promise<{
  readonly baseUrl: string;
  account(): Promise<Account>;
  stop(): void;
}> {
  const file = `./api-server.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`;
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), ['serve']);
  const tell = async <T>(message: ServerSettings | 'account'): Promise<T> => {
    const answer = once(child, 'message') as Promise<[T]>;
    child.send(message);
    return (await answer)[0];
  };
  return {
    baseUrl: await tell<string>(settings),
    account: () => tell<Account>('account'),
    stop: () => disconnect(child),
  };
}

function disconnect(child: ChildProcess): void {
  if (child.connected) child.disconnect();
}
