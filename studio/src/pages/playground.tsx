/** One prompt or two, put before the task LM of a run: its answers on examples, beside gold. */
import { type FormEvent, useEffect, useState } from 'react';
import type { PlaygroundAnswer } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { useLoaded } from '../hooks.ts';
import { announce } from '../parts/announce.tsx';
import { Card, Failure, Loading, ModelText, ScoreCell } from '../parts/bits.tsx';
import { Examples } from '../parts/examples.tsx';
import { hrefOf } from '../router.ts';
import { plain } from '../visible.ts';

export function PlaygroundPage({
  run,
  prompt,
}: {
  run?: string | undefined;
  prompt?: string | undefined;
}) {
  const runs = useLoaded('runs for playground', (signal) => api.runs({ limit: 100 }, signal));
  const [picked, setPicked] = useState(run);
  const items = runs.data?.items ?? [];
  const id = picked ?? (items.find((one) => one.bestPrompt !== undefined) ?? items[0])?.id;
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>Playground</h1>
      </div>
      <p className="lede">
        Type a prompt and see what the model answers with it. The examples and the model are those
        of a run.
      </p>
      <Failure error={runs.error} retry={runs.reload} />
      {runs.isLoading && <Loading what="runs" />}
      {runs.data && items.length === 0 && (
        <section className="card empty">
          <h2>There is no run to play with yet</h2>
          <p>
            <a href={hrefOf(['new'])}>Start one</a>: it brings the task, its examples and the model.
          </p>
        </section>
      )}
      {/* Which prompt was found is known with the runs. */}
      {id !== undefined && (runs.data || runs.error) && (
        <>
          <label className="field">
            <span>Task and model of run</span>
            <select value={id} onChange={(event) => setPicked(event.target.value)}>
              {!items.some((one) => one.id === id) && <option value={id}>{id}</option>}
              {items.map((one) => (
                <option key={one.id} value={one.id}>
                  {plain(
                    `${one.task}, ${one.method}${one.bestPrompt ? `: “${one.bestPrompt}”` : ''} (${one.id})`,
                  )}
                </option>
              ))}
            </select>
          </label>
          <Try
            key={id}
            run={id}
            prompt={id === run ? prompt : undefined}
            found={items.find((one) => one.id === id)?.bestPrompt}
          />
        </>
      )}
    </>
  );
}

interface TryProps {
  readonly run: string;
  readonly prompt: string | undefined;
  /** What the run found, or its best so far; a tensor's name where it is no text. */
  readonly found: string | undefined;
}

function Try({ run, prompt, found }: TryProps) {
  const known = useLoaded(`prompts of ${run}`, (signal) =>
    api.prompts(run, { limit: 30, offset: 0 }, signal),
  );
  const [first, setFirst] = useState(prompt);
  const [second, setSecond] = useState('');
  const [split, setSplit] = useState<'train' | 'validation'>('validation');
  const [limit, setLimit] = useState(16);
  const [input, setInput] = useState('');
  const [answer, setAnswer] = useState<PlaygroundAnswer & { readonly ofInput: boolean }>();
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const texts = known.data?.items.map(({ text }) => text) ?? [];
  const best = texts.find((text) => text === found) ?? texts[0];
  useEffect(() => {
    if (best !== undefined) setFirst((before) => before ?? best);
  }, [best]);

  const ask = async (event: FormEvent) => {
    event.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      const prompts = second === '' ? [first ?? ''] : [first ?? '', second];
      const ownInput = input === '' ? {} : { input };
      const found = await api.playground({ run, prompts, split, limit, ...ownInput });
      setAnswer({ ...found, ofInput: input !== '' });
      announce('The answers are here');
    } catch (failure) {
      setError(failure as Error);
    } finally {
      setBusy(false);
    }
  };
  return (
    <>
      <form className="card" onSubmit={ask}>
        <datalist id="known-prompts">
          {known.data?.items.map(({ text }) => (
            <option key={text} value={text} />
          ))}
        </datalist>
        <div className="columns">
          <label className="field">
            <span>Prompt</span>
            <input
              type="text"
              list="known-prompts"
              spellCheck={false}
              value={first ?? ''}
              onChange={(event) => setFirst(event.target.value)}
            />
            <small>Typed, or picked from those that the run found</small>
          </label>
          <label className="field">
            <span>Second prompt, to compare</span>
            <input
              type="text"
              list="known-prompts"
              spellCheck={false}
              value={second}
              onChange={(event) => setSecond(event.target.value)}
            />
            <small>May stay empty</small>
          </label>
        </div>
        <div className="columns">
          <fieldset className="row" aria-label="Examples">
            <label>
              Examples{' '}
              <select
                value={split}
                onChange={(event) => setSplit(event.target.value as typeof split)}
              >
                <option value="validation">validation</option>
                <option value="train">train</option>
              </select>
            </label>
            <label>
              How many{' '}
              <input
                type="number"
                min={1}
                max={200}
                value={limit}
                onChange={(event) =>
                  setLimit(Math.min(200, Math.max(1, event.target.valueAsNumber || 1)))
                }
              />
            </label>
          </fieldset>
          <label className="field">
            <span>Or a text of your own</span>
            <textarea rows={2} value={input} onChange={(event) => setInput(event.target.value)} />
          </label>
        </div>
        <button type="submit" className="primary" disabled={busy}>
          {busy ? 'Answering …' : 'Ask the model'}
        </button>
      </form>
      <Failure error={error} />
      {answer && <Answers answer={answer} hasGold={!answer.ofInput} />}
    </>
  );
}

function Answers({ answer, hasGold }: { answer: PlaygroundAnswer; hasGold: boolean }) {
  const names = answer.prompts.length > 1 ? ['First prompt', 'Second prompt'] : ['Answer (output)'];
  return (
    <>
      <div className="columns">
        {answer.prompts.map(({ prompt, tokens, score }, i) => (
          <Card key={names[i]} title={answer.prompts.length > 1 ? names[i]! : 'The prompt'}>
            <blockquote>
              <ModelText text={prompt} />
            </blockquote>
            {score && (
              <p>
                Right on {score.examples} examples: <ScoreCell score={score} />
              </p>
            )}
            <p className="muted">
              {tokens.length} {tokens.length === 1 ? 'token' : 'tokens'}:{' '}
              {tokens.map((token, t) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: tokens of one text have their place alone
                <span key={t} className="token">
                  <ModelText text={token} />
                </span>
              ))}
            </p>
          </Card>
        ))}
      </div>
      <Card title="Answers">
        <Examples
          columns={answer.prompts.map(({ rows }, i) => ({ title: names[i]!, rows }))}
          hasGold={hasGold}
        />
      </Card>
    </>
  );
}
