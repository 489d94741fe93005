/** What one question takes, call by call. */
import type { Cost, Ledger, Paid, Reservation } from './ledger.ts';
import type { Outcomes } from './response-cache.ts';

/** The part of a ledger that calls need. */
export type CallLedger = Pick<Ledger, 'caps' | 'reserve' | 'again' | 'retried' | 'cached'>;

/** A ledger that also tells what went through it for one question. */
export interface TappedLedger extends CallLedger {
  /** What the question took; whoever asks keeps it. */
  take(): Paid;
}

/** Calls that count are announced to `outcomes`, so that they do even where their process dies. */
export function tapped(ledger: CallLedger, outcomes: Outcomes | undefined): TappedLedger {
  const costs: Cost[] = [];
  const forfeited: Cost[] = [];
  const sent: (() => void)[] = [];
  let retries = 0;
  const { caps } = ledger;
  const counts = ({ usd = 0 }: Cost) =>
    usd > 0 || caps.calls !== undefined || caps.tokens !== undefined;
  return {
    caps,
    take() {
      for (const settled of sent.splice(0)) settled();
      return { costs, forfeited, retries };
    },
    async reserve(role, most, signal): Promise<Reservation> {
      const held = await ledger.reserve(role, most, signal);
      const settled = (counts(most) && outcomes?.sending(most)) || (() => {});
      return {
        settle(cost) {
          costs.push(cost);
          sent.push(settled);
          held.settle(cost);
        },
        release() {
          settled();
          held.release();
        },
        forfeit() {
          forfeited.push(most);
          sent.push(settled);
          held.forfeit();
        },
      };
    },
    retried(role) {
      retries++;
      ledger.retried(role);
    },
    again: (role, paid) => ledger.again(role, paid),
    cached: (role) => ledger.cached(role),
  };
}
