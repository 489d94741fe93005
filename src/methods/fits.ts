/** Whether a kept state of a search can be gone on from with the options that hold now. */
import { ConfigError } from '../errors.ts';

/** Options that a state was made with and cannot do without, by name. */
export type Made = Readonly<Record<string, unknown>>;

/** @throws ConfigError naming the first option that a state does not fit */
export function refuseMisfit(made: Made, now: Made): void {
  for (const [name, value] of Object.entries(now)) {
    const [then, given] = [JSON.stringify(made[name]), JSON.stringify(value)];
    if (then === given) continue;
    throw new ConfigError(
      `method.${name}: the state to go on from was learnt with ${then}, with ${given} it does not fit; begin anew, by --step 0`,
    );
  }
}
