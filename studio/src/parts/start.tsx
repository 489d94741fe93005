/** Starts a run, or a comparison of chosen methods. */
import { useState } from 'react';
import type { SchemaAnswer } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { go } from '../router.ts';
import { announce } from './announce.tsx';
import { Card, Failure } from './bits.tsx';

interface Props {
  readonly schema: SchemaAnswer;
  readonly yaml: string;
  readonly several: boolean;
  readonly isRight: boolean;
}

export function Start({ schema, yaml, several, isRight }: Props) {
  const [methods, setMethods] = useState<readonly string[]>(['manual', 'policy-gradient']);
  const [seeds, setSeeds] = useState(3);
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const start = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const { id } = several
        ? await api.compare({ yaml, methods, seeds })
        : await api.start({ yaml });
      announce(several ? 'The comparison was started' : 'The run was started');
      go([several ? 'compare' : 'runs', id]);
    } catch (failure) {
      setError(failure as Error);
      setBusy(false);
    }
  };
  return (
    <Card title="Start">
      {several && (
        <>
          <fieldset className="field">
            <legend>Methods</legend>
            {schema.methods.map(({ name, summary }) => (
              <label key={name} className="check" title={summary}>
                <input
                  type="checkbox"
                  checked={methods.includes(name)}
                  onChange={(event) =>
                    setMethods(
                      event.target.checked
                        ? [...methods, name]
                        : methods.filter((one) => one !== name),
                    )
                  }
                />
                {name}
              </label>
            ))}
          </fieldset>
          <label className="field">
            <span>Searches of each method (seeds)</span>
            <input
              type="number"
              min={1}
              max={50}
              value={seeds}
              onChange={(event) => setSeeds(Math.max(1, event.target.valueAsNumber || 1))}
            />
            <small>
              {methods.length * seeds} searches in all. With fewer than 5 seeds chance weighs much.
            </small>
          </label>
        </>
      )}
      <Failure error={error} />
      <button
        type="button"
        className="primary wide"
        disabled={busy || !isRight || (several && methods.length < 2)}
        onClick={start}
      >
        {busy ? 'Starting …' : several ? 'Start the comparison' : 'Start the run'}
      </button>
      {!isRight && <p className="muted">It can start once the settings are checked and right.</p>}
    </Card>
  );
}
