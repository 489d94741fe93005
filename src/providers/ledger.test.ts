import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BudgetError } from '../errors.ts';
import { type Cost, Ledger } from './ledger.ts';

const cost = (usd: number, tokens = 1): Cost => ({ inputTokens: tokens, outputTokens: 0, usd });

describe('Ledger', () => {
  it('waits for calls under way where only they stand in its way', async () => {
    const ledger = new Ledger({ usd: 1 });
    const first = await ledger.reserve('task', cost(0.9));
    const order: string[] = [];
    const second = ledger.reserve('judge', cost(0.5)).then((held) => {
      order.push('second');
      return held;
    });
    await Promise.resolve();
    order.push('first is settled');
    first.settle(cost(0.1));
    (await second).settle(cost(0.4));
    expect(order).toEqual(['first is settled', 'second']);
    expect(ledger.byRole()).toMatchObject({ task: { usd: 0.1 }, judge: { usd: 0.4 } });
  });

  it('refuses what no release can make room for, and names the cap', async () => {
    const ledger = new Ledger({ tokens: 10 });
    await ledger.reserve('task', cost(0, 4));
    const waiting = ledger.reserve('task', cost(0, 7));
    await expect(ledger.reserve('policy', cost(0, 11))).rejects.toThrow(
      'budget.tokens: the next call of the policy LM may take up to 11 tokens and 0 tokens of 10 tokens are spent; raise budget.tokens',
    );
    const stop = new AbortController();
    const left = ledger.reserve('task', cost(0, 1), stop.signal);
    stop.abort();
    await expect(left).rejects.toMatchObject({ name: 'AbortError' });
    void waiting;
  });

  it('refuses those who wait when what they wait for was spent', async () => {
    const ledger = new Ledger({ calls: 1 });
    const only = await ledger.reserve('task', cost(0));
    const waiting = ledger.reserve('task', cost(0));
    only.settle(cost(0));
    await expect(waiting).rejects.toThrow(BudgetError);
  });

  it('holds what may have been paid against the cap, apart from the calls', async () => {
    const ledger = new Ledger({ usd: 1 });
    (await ledger.reserve('task', cost(0.7, 3))).forfeit();
    expect(ledger.line().calls).toBe(0);
    expect(ledger.unconfirmed).toEqual({ calls: 1, tokens: 3, usd: 0.7 });
    await expect(ledger.reserve('task', cost(0.4))).rejects.toThrow(/\$0.7 of \$1 are spent/);
  });

  it('goes on from what was spent before', async () => {
    const before = new Ledger();
    (await before.reserve('task', cost(0.6))).settle(cost(0.6));
    (await before.reserve('task', cost(0.2))).forfeit();
    const { unconfirmed } = before;
    const ledger = new Ledger({ usd: 1 }, { lines: before.byRole(), unconfirmed });
    expect(ledger.line()).toEqual(before.line());
    await expect(ledger.reserve('task', cost(0.3))).rejects.toThrow(BudgetError);
  });

  it('says that money is unknown where a price is', async () => {
    const ledger = new Ledger();
    const free = await ledger.reserve('task', { ...cost(0), usd: undefined });
    free.settle({ ...cost(0), usd: undefined });
    expect(ledger.line()).toMatchObject({ calls: 1, usd: null });
  });

  it('never passes a cap, whatever the prices, the ends and the concurrency', async () => {
    const call = fc.record({
      usd: fc.double({ min: 0, max: 2, noNaN: true }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      tokens: fc.integer({ min: 1, max: 100 }),
      end: fc.constantFrom('settle', 'release', 'forfeit'),
      turns: fc.integer({ min: 0, max: 5 }),
    });
    const runs = { numRuns: 500 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(call, { minLength: 1, maxLength: 60 }),
        fc.double({ min: 0, max: 20, noNaN: true }),
        fc.integer({ min: 1, max: 64 }),
        async (calls, usdCap, concurrency) => {
          const caps = { usd: usdCap, tokens: 800, calls: 40 };
          const ledger = new Ledger(caps);
          // The server's own account: everything that it may have charged for.
          const charged = { usd: 0, tokens: 0, calls: 0 };
          let next = 0;
          let refused = 0;
          const worker = async () => {
            for (let one = calls[next++]; one; one = calls[next++]) {
              const most = cost(one.usd, one.tokens);
              const held = await ledger.reserve('task', most).catch((error: unknown) => {
                expect(error).toBeInstanceOf(BudgetError);
                refused++;
              });
              if (!held) continue;
              for (let i = 0; i < one.turns; i++) await Promise.resolve();
              const real = cost(one.usd * one.share, Math.ceil(one.tokens * one.share));
              if (one.end !== 'release') {
                const paid = one.end === 'settle' ? real : most;
                charged.usd += paid.usd!;
                charged.tokens += paid.inputTokens;
                charged.calls++;
              }
              if (one.end === 'settle') held.settle(real);
              else held[one.end as 'release' | 'forfeit']();
              expect(charged.usd).toBeLessThanOrEqual(caps.usd + 1e-9);
              expect(charged.tokens).toBeLessThanOrEqual(caps.tokens);
              expect(charged.calls).toBeLessThanOrEqual(caps.calls);
            }
          };
          await Promise.all(Array.from({ length: concurrency }, worker));
          const { calls: answered } = ledger.line();
          expect(answered + ledger.unconfirmed.calls).toBe(charged.calls);
          expect((ledger.line().usd ?? 0) + ledger.unconfirmed.usd).toBeCloseTo(charged.usd, 9);
          const released = calls.filter(({ end }) => end === 'release').length;
          expect(charged.calls + refused).toBeGreaterThanOrEqual(calls.length - released);
        },
      ),
      runs,
    );
  });
});
