/** What is wrong with a configuration, as the server judges it, and what it would take to run it. */
import { useEffect, useState } from 'react';
import type { PlanAnswer } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { count, duration } from '../format.ts';
import { useSettled } from '../hooks.ts';
import { Facts, Failure } from './bits.tsx';

export interface Planned {
  readonly plan?: PlanAnswer;
  readonly error?: Error;
  /** False while the text has changed since. */
  readonly isCurrent: boolean;
}

/** Asks once the text has not changed for half a second. */
export function usePlan(yaml: string): Planned {
  const settled = useSettled(yaml, 500);
  const [state, setState] = useState<{ yaml?: string; plan?: PlanAnswer; error?: Error }>({});
  useEffect(() => {
    const abort = new AbortController();
    api.plan(settled, abort.signal).then(
      (plan) => setState({ yaml: settled, plan }),
      (error: Error) => !abort.signal.aborted && setState({ yaml: settled, error }),
    );
    return () => abort.abort();
  }, [settled]);
  return {
    ...(state.plan ? { plan: state.plan } : {}),
    ...(state.error ? { error: state.error } : {}),
    isCurrent: state.yaml === yaml && state.plan !== undefined,
  };
}

export function Plan({ plan, error, isCurrent, ofEach }: Planned & { ofEach: boolean }) {
  return (
    <section className="card" aria-live="polite" aria-label="Plan" data-stale={!isCurrent}>
      <header>
        <h2>What {ofEach ? 'each search' : 'it'} would take (plan)</h2>
      </header>
      <Failure error={error} />
      {!plan && !error && <p className="muted">Checking …</p>}
      {plan && plan.problems.length > 0 && (
        <>
          <p className="bad-text">
            <b>
              {plan.problems.length === 1 ? 'One thing has' : `${plan.problems.length} things have`}{' '}
              to be mended first:
            </b>
          </p>
          <ul className="problems">
            {plan.problems.map(({ path, message }) => (
              <li key={`${path} ${message}`}>
                {path !== '' && <code>{path}</code>} {message}
              </li>
            ))}
          </ul>
        </>
      )}
      {plan && plan.problems.length === 0 && (
        <p className="good-text">
          <span aria-hidden="true">✓</span> The settings are right.
        </p>
      )}
      {plan?.plan && (
        <>
          <Facts
            facts={[
              ['At most', duration(plan.plan.minutes * 60)],
              ['Answers asked for', count(plan.plan.calls)],
              ['Tokens', count(plan.plan.tokens)],
              [
                'Price',
                plan.plan.usd === null
                  ? 'not known'
                  : plan.plan.usd === 0
                    ? 'nothing'
                    : `$${plan.plan.usd.toFixed(2)}`,
              ],
            ]}
          />
          <ul className="plain muted">
            {plan.plan.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
