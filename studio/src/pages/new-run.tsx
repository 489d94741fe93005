/**
 * A new run or comparison: a form made from the schema of the configuration, the same as YAML beside
 * it (either edits the other), what is wrong with it, and what it would take.
 */
import { useMemo, useState } from 'react';
import type { SchemaAnswer } from '../../../src/server/contract.ts';
import { api } from '../api.ts';
import { parse, write } from '../form/document.ts';
import type { FormState } from '../form/field.tsx';
import type { Path } from '../form/fields.ts';
import { SettingsForm } from '../form/settings.tsx';
import { useLoaded } from '../hooks.ts';
import { Card, Failure, Loading } from '../parts/bits.tsx';
import { Plan, usePlan } from '../parts/plan.tsx';
import { Start } from '../parts/start.tsx';

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
          <SettingsForm schema={schema} form={form} hasMethod={!several} />
        )}
      </div>
      <div className="editor-side">
        <Plan {...answer} ofEach={several} />
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
