/** What one question takes, call by call, and entering it once more where its outcome is recalled. */
import type { Cost, Ledger, Reservation, Role } from './ledger.ts';
import type { Paid } from './response-cache.ts';

/** The part of a ledger that calls need. */
export type CallLedger = Pick<Ledger, 'reserve' | 'retried' | 'cached'>;

/** The same ledger, which also tells what went through it. */
export function tapped(ledger: CallLedger): CallLedger & { readonly paid: Paid } {
  const costs: Cost[] = [];
  const forfeited: Cost[] = [];
  let retries = 0;
  return {
    get paid() {
      return { costs, forfeited, retries };
    },
    async reserve(role, most, signal): Promise<Reservation> {
      const held = await ledger.reserve(role, most, signal);
      return {
        settle(cost) {
          costs.push(cost);
          held.settle(cost);
        },
        release: () => held.release(),
        forfeit() {
          forfeited.push(most);
          held.forfeit();
        },
      };
    },
    retried(role) {
      retries++;
      ledger.retried(role);
    },
    cached: (role) => ledger.cached(role),
  };
}

/** Enters what an earlier part of the run paid. */
export async function payAgain(
  { ledger, role }: { readonly ledger: CallLedger; readonly role: Role },
  { costs, forfeited, retries }: Paid,
): Promise<void> {
  for (const cost of costs) (await ledger.reserve(role, cost)).settle(cost);
  for (const cost of forfeited) (await ledger.reserve(role, cost)).forfeit();
  for (let i = 0; i < retries; i++) ledger.retried(role);
}
