/**
 * A new run or comparison: a form made from the schema of the configuration, the same as YAML beside
 * it (either edits the other), what is wrong with it, and what it would take.
 */
import { useEffect, useMemo, useState } from 'react';
import type { PlanAnswer, SchemaAnswer } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { parse, valueAt, write } from '../form/document.ts';
import { FieldInput, type FormState } from '../form/field.tsx';
import { type Field, fieldsOf, type JsonSchema, type Path } from '../form/fields.ts';
import { count, duration } from '../format.ts';
import { useLoaded, useSettled } from '../hooks.ts';
import { announce } from '../parts/announce.tsx';
import { Card, Facts, Failure, Loading } from '../parts/bits.tsx';
import { go } from '../router.ts';

interface Props {
  /** The run whose settings it starts with. */
  readonly from?: string | undefined;
  readonly isComparison: boolean;
}

export function NewRunPage({ from, isComparison }: Props) {
  const schema = useLoaded('schema', api.schema);
  const source = useLoaded(from, (signal) => api.run(from!, signal));
  const isReady = schema.data && (from === undefined || source.data || source.error);
  return (
    <>
      <div className="page-head">
        <h1 tabIndex={-1}>{isComparison ? 'New comparison' : 'New run'}</h1>
      </div>
      <Failure error={schema.error ?? source.error} retry={schema.reload} />
      {!isReady && !schema.error && <Loading what="the form" />}
      {isReady && (
        <Editor
          key={from ?? ''}
          schema={schema.data!}
          initial={source.data?.yaml ?? schema.data!.example}
          isComparison={isComparison}
        />
      )}
    </>
  );
}

interface EditorProps {
  readonly schema: SchemaAnswer;
  readonly initial: string;
  readonly isComparison: boolean;
}

function Editor({ schema, initial, isComparison }: EditorProps) {
  const [yaml, setYaml] = useState(initial);
  const [several, setSeveral] = useState(isComparison);
  const parsed = useMemo(() => parse(yaml), [yaml]);
  const answer = usePlan(yaml);
  const problems = useMemo(
    () => new Map(answer.plan?.problems.map(({ path, message }) => [path, message]) ?? []),
    [answer.plan],
  );
  const form: FormState = {
    value: parsed.value,
    problems,
    set: (path: Path, value: unknown) => setYaml((text) => write(text, path, value)),
  };
  return (
    <div className="editor">
      <div>
        <Card title="What to do">
          <fieldset className="row" aria-label="One method or several">
            <label className="check">
              <input
                type="radio"
                name="several"
                checked={!several}
                onChange={() => setSeveral(false)}
              />
              Search with one method
            </label>
            <label className="check">
              <input
                type="radio"
                name="several"
                checked={several}
                onChange={() => setSeveral(true)}
              />
              Compare several methods
            </label>
          </fieldset>
        </Card>
        {parsed.problem !== undefined ? (
          <p className="note note-bad" role="alert">
            The YAML cannot be read, so that the form rests: {parsed.problem}
          </p>
        ) : (
          <Form schema={schema} form={form} hasMethod={!several} />
        )}
      </div>
      <div className="editor-side">
        <Plan {...answer} />
        <Start
          schema={schema}
          yaml={yaml}
          several={several}
          isRight={answer.isCurrent && problems.size === 0}
        />
        <Card title="The same as a file (YAML)">
          <label>
            <span className="hidden">Configuration as YAML</span>
            <textarea
              className="yaml"
              spellCheck={false}
              rows={Math.min(24, Math.max(12, yaml.split('\n').length + 1))}
              value={yaml}
              onChange={(event) => setYaml(event.target.value)}
            />
          </label>
          <small className="muted">
            Paths in it are relative to the folder that the studio was started in.
          </small>
        </Card>
      </div>
    </div>
  );
}

interface Planned {
  readonly plan?: PlanAnswer;
  readonly error?: Error;
  /** False while the text has changed since. */
  readonly isCurrent: boolean;
}

function usePlan(yaml: string): Planned {
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

function Form({
  schema,
  form,
  hasMethod,
}: {
  schema: SchemaAnswer;
  form: FormState;
  hasMethod: boolean;
}) {
  const fields = useMemo(() => fieldsOf(schema.config as JsonSchema), [schema]);
  const groups = groupsOf(fields);
  return (
    <form aria-label="Settings" onSubmit={(event) => event.preventDefault()}>
      <Card title="The task" about={fields.find(({ name }) => name === 'task')?.about}>
        <TaskFields field={fields.find(({ name }) => name === 'task')} form={form} />
      </Card>
      <Card title="The models">
        {groups.models.map((field) => (
          <FieldInput key={field.name} field={field} form={form} />
        ))}
      </Card>
      {hasMethod && <MethodCard schema={schema} form={form} />}
      <Card title="Where it ends (budget)">
        {groups.budget.map((field) => (
          <FieldInput key={field.name} field={field} form={form} />
        ))}
      </Card>
      <details className="card">
        <summary>
          <b>Everything else</b>
        </summary>
        {groups.others.map((field) => (
          <FieldInput key={field.name} field={field} form={form} />
        ))}
      </details>
    </form>
  );
}

/** Those that nearly everybody sets stand open; the others below a line. */
const FIRST_OF_TASK = ['kind', 'description', 'data', 'input', 'gold', 'labels', 'template'];

function TaskFields({ field, form }: { field: Field | undefined; form: FormState }) {
  if (field?.kind !== 'group') return null;
  const isFirst = ({ name }: Field) => FIRST_OF_TASK.includes(name);
  return (
    <>
      {field.fields.filter(isFirst).map((one) => (
        <FieldInput key={one.name} field={one} form={form} />
      ))}
      <details className="group">
        <summary>
          More of the task <span className="term">splits, metric, length of answers</span>
        </summary>
        {field.fields
          .filter((one) => !isFirst(one))
          .map((one) => (
            <FieldInput key={one.name} field={one} form={form} />
          ))}
      </details>
    </>
  );
}

function groupsOf(fields: readonly Field[]) {
  const own = ['task', 'method', 'methods'];
  const budget = fields.find(({ name }) => name === 'budget');
  const isModel = ({ name }: Field) => name === 'taskLm' || name === 'policyLm';
  return {
    models: fields.filter(isModel),
    budget: budget?.kind === 'group' ? budget.fields : [],
    others: fields.filter((one) => !own.includes(one.name) && !isModel(one) && one !== budget),
  };
}

function MethodCard({ schema, form }: { schema: SchemaAnswer; form: FormState }) {
  const name = String(valueAt(form.value, ['method', 'name']) ?? 'policy-gradient');
  const method = schema.methods.find((one) => one.name === name);
  const options = useMemo(
    () =>
      method
        ? fieldsOf(method.options as JsonSchema, ['method']).filter((one) => one.name !== 'name')
        : [],
    [method],
  );
  return (
    <Card title="How to search (method)">
      <div className="field">
        <label htmlFor="method-name">Method</label>
        <select
          id="method-name"
          value={name}
          aria-describedby="method-about"
          // Options of another method would be refused, so that they go with it.
          onChange={(event) => form.set(['method'], { name: event.target.value })}
        >
          {!method && <option>{name}</option>}
          {schema.methods.map((one) => (
            <option key={one.name}>{one.name}</option>
          ))}
        </select>
        <small id="method-about">{method?.summary}</small>
      </div>
      {options.length > 0 && (
        <details className="group">
          <summary>
            Options of {name} <span className="term">{options.length}, each with a default</span>
          </summary>
          {options.map((field) => (
            <FieldInput key={field.name} field={field} form={form} />
          ))}
        </details>
      )}
    </Card>
  );
}

function Plan({ plan, error, isCurrent }: Planned) {
  return (
    <section className="card" aria-live="polite" aria-label="Plan" data-stale={!isCurrent}>
      <header>
        <h2>What it would take (plan)</h2>
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

interface StartProps {
  readonly schema: SchemaAnswer;
  readonly yaml: string;
  readonly several: boolean;
  readonly isRight: boolean;
}

function Start({ schema, yaml, several, isRight }: StartProps) {
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
