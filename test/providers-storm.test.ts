/** A server in a bad hour: nothing is lost, nothing is paid twice, nobody comes early, no cap is passed. */
import { afterEach, expect, it } from 'vitest';
import { type ApiServer, startApiServer } from '../bench/api-server.ts';
import { BudgetError } from '../src/errors.ts';
import { costUsd, isFailure, Ledger, memoryCache, openTextModel } from '../src/providers/index.ts';

const PRICE = { input: 1, output: 2 };
const STORM = {
  latencyMs: 5,
  limited: 0.3,
  failed: 0.1,
  hung: 0.03,
  hangMs: 1000,
  cut: 0.03,
  broken: 0.02,
};
const CALLS = 1000;
/**
 * Far off: an answer that a starved machine reads too late is asked for, and paid, twice. That a
 * server which never answers is given up is tested with the formats.
 */
const TIMEOUT_SECONDS = 600;
let close: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const end of close.reverse()) await end();
  close = [];
});

async function storm(seed: number, ledger: Ledger) {
  const server = await startApiServer({ ...STORM, seed });
  const kept = new Set<string>();
  const memory = memoryCache();
  const model = openTextModel(
    {
      provider: 'openai-compatible',
      model: 'm',
      baseUrl: server.baseUrl,
      concurrency: 64,
      timeoutSeconds: TIMEOUT_SECONDS,
      price: PRICE,
    },
    {
      env: {},
      ledger,
      patience: { backoffMs: 20, maxBackoffMs: 100 },
      cache: {
        get: memory.get,
        set: (key, answer) => {
          kept.add(key);
          return memory.set(key, answer);
        },
      },
    },
  );
  close.push(server.close, () => model.close());
  const run = model.complete(
    Array.from({ length: CALLS }, (_, i) => ({
      messages: [{ role: 'user', content: `question ${i}` }],
      maxTokens: 8,
    })),
  );
  return { server, kept, run };
}

function charged(server: ApiServer) {
  const { inputTokens, outputTokens, spoiltInputTokens, spoiltOutputTokens } = server.account();
  return {
    answered: costUsd(PRICE, { inputTokens, outputTokens }),
    spoilt: costUsd(PRICE, { inputTokens: spoiltInputTokens, outputTokens: spoiltOutputTokens }),
  };
}

function expectAgreement(server: ApiServer, ledger: Ledger) {
  const account = server.account();
  const { answered, spoilt } = charged(server);
  expect(account).toMatchObject({ paidTwice: 0, early: 0 });
  expect(account.mostUnderWay).toBeLessThanOrEqual(64);
  const line = ledger.line();
  expect(line.calls).toBe(account.answered);
  expect(line.inputTokens).toBe(account.inputTokens);
  expect(line.outputTokens).toBe(account.outputTokens);
  expect(line.usd).toBeCloseTo(answered, 9);
  // What was cut or broken may have been charged: the ledger holds at least as much for it.
  expect(ledger.unconfirmed.usd).toBeGreaterThanOrEqual(spoilt);
}

it('answers every call once', { timeout: 240_000 }, async () => {
  const ledger = new Ledger();
  const { server, run } = await storm(1, ledger);
  const answers = await run;
  expect(answers.map((answer) => !isFailure(answer) && answer.text)).toEqual(
    Array.from({ length: CALLS }, (_, i) => `Answer to question ${i}`),
  );
  expectAgreement(server, ledger);
  const { requests, answered } = server.account();
  expect(answered).toBe(CALLS);
  expect(requests).toBeGreaterThan(1.6 * CALLS);
  expect(ledger.line().retries).toBe(requests - CALLS);
});

it('spends no more than the cap, and keeps what it paid for', { timeout: 240_000 }, async () => {
  const cap = 0.01;
  const ledger = new Ledger({ usd: cap });
  const { server, kept, run } = await storm(2, ledger);
  await expect(run).rejects.toThrow(BudgetError);
  expectAgreement(server, ledger);
  const { answered, spoilt } = charged(server);
  expect(answered + spoilt).toBeLessThanOrEqual(cap);
  expect(answered).toBeGreaterThan(cap / 3);
  expect(kept.size).toBe(server.account().answered);
});
