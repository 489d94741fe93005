/** One setting of the form: label, what it means, an input of its kind, and what is wrong with it. */
import { useId, useState } from 'react';
import { value as shown } from '../format.ts';
import { sentence } from '../words.ts';
import { valueAt } from './document.ts';
import { type Field, formOf, type Path } from './fields.ts';

export interface FormState {
  /** The configuration as parsed. */
  readonly value: unknown;
  /** What is wrong, by path joined with dots. */
  readonly problems: ReadonlyMap<string, string>;
  set(path: Path, value: unknown): void;
}

export function FieldInput({ field, form }: { field: Field; form: FormState }) {
  const value = valueAt(form.value, field.path);
  if (field.kind === 'either') return <Either field={field} form={form} />;
  if (field.kind === 'group') return <Group field={field} form={form} />;
  if (field.kind === 'choices') return <Choices field={field} form={form} />;
  if (field.kind === 'switch') {
    const isOn = (value ?? field.initial) === true;
    return (
      <Labelled field={field} form={form} isInline>
        {(described) => (
          <input
            {...described}
            type="checkbox"
            checked={isOn}
            onChange={(event) => form.set(field.path, event.target.checked)}
          />
        )}
      </Labelled>
    );
  }
  return (
    <Labelled field={field} form={form}>
      {(described) => <Input field={field} form={form} value={value} described={described} />}
    </Labelled>
  );
}

type Described = { id: string; 'aria-describedby': string; 'aria-invalid': boolean };

interface LabelledProps {
  readonly field: Field;
  readonly form: FormState;
  readonly isInline?: boolean;
  children(described: Described): React.ReactNode;
}

function Labelled({ field, form, isInline = false, children }: LabelledProps) {
  const id = useId();
  const problem = form.problems.get(field.path.join('.'));
  const described = {
    id,
    'aria-describedby': `${id}-about`,
    'aria-invalid': problem !== undefined,
  };
  return (
    <div className={isInline ? 'field field-inline' : 'field'}>
      <label htmlFor={id}>
        {sentence(field.name)}
        {field.isRequired && <span className="term"> needed</span>}
      </label>
      {children(described)}
      <small id={`${id}-about`}>
        {problem !== undefined && <span className="bad-text">{problem}. </span>}
        {field.about === '' ? '' : `${field.about.replace(/\.$/, '')}. `}
        {field.initial !== undefined &&
          field.kind !== 'switch' &&
          `Otherwise: ${shown(field.initial)}.`}
      </small>
    </div>
  );
}

interface InputProps {
  readonly field: Field;
  readonly form: FormState;
  readonly value: unknown;
  readonly described: Described;
}

function Input({ field, form, value, described }: InputProps) {
  const set = (next: unknown) => form.set(field.path, next);
  switch (field.kind) {
    case 'choice':
      return (
        <select
          {...described}
          value={String(value ?? '')}
          onChange={(event) => set(event.target.value === '' ? undefined : event.target.value)}
        >
          <option value="">
            {field.initial === undefined ? '(left open)' : `(${shown(field.initial)})`}
          </option>
          {field.options.map((option) => (
            <option key={option}>{option}</option>
          ))}
        </select>
      );
    case 'number':
      return (
        <input
          {...described}
          type="number"
          step={field.isWhole ? 1 : 'any'}
          min={field.least}
          max={field.most}
          value={typeof value === 'number' ? value : ''}
          placeholder={field.initial === undefined ? '' : shown(field.initial)}
          onChange={(event) =>
            set(
              Number.isFinite(event.target.valueAsNumber) ? event.target.valueAsNumber : undefined,
            )
          }
        />
      );
    case 'lines':
      return (
        <Draft
          described={described}
          value={Array.isArray(value) ? value.join('\n') : ''}
          placeholder="one a line"
          read={(text) => lines(text)}
          onRead={(list) => set(list.length === 0 ? undefined : list)}
        />
      );
    case 'pairs':
      return (
        <Draft
          described={described}
          value={pairsText(value)}
          placeholder="gold value: label word"
          read={(text) => lines(text).map((line) => line.split(/:\s*/, 2))}
          onRead={(pairs) =>
            set(
              pairs.length === 0
                ? undefined
                : Object.fromEntries(pairs.map(([k, v]) => [k, v ?? ''])),
            )
          }
        />
      );
    case 'yaml':
      return (
        <output {...described} className="muted">
          {value === undefined ? 'not set' : shown(value)} (edited in the YAML)
        </output>
      );
    default:
      return (
        <input
          {...described}
          type="text"
          spellCheck={false}
          value={value === undefined || value === null ? '' : shown(value)}
          placeholder={field.initial === undefined ? '' : shown(field.initial)}
          onChange={(event) => set(event.target.value === '' ? undefined : event.target.value)}
        />
      );
  }
}

const lines = (text: string): string[] =>
  text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean);

const pairsText = (value: unknown): string =>
  typeof value === 'object' && value !== null
    ? Object.entries(value)
        .map(([key, word]) => `${key}: ${word}`)
        .join('\n')
    : '';

/** A text of several lines that is taken over when it is left, so that half a line is no mistake. */
function Draft<T>(props: {
  described: Described;
  value: string;
  placeholder: string;
  read(text: string): T;
  onRead(read: T): void;
}) {
  const [draft, setDraft] = useState<string>();
  return (
    <textarea
      {...props.described}
      rows={Math.min(6, Math.max(2, (draft ?? props.value).split('\n').length))}
      spellCheck={false}
      placeholder={props.placeholder}
      value={draft ?? props.value}
      onChange={(event) => setDraft(event.target.value)}
      onBlur={() => {
        if (draft !== undefined) props.onRead(props.read(draft));
        setDraft(undefined);
      }}
    />
  );
}

function Group({ field, form }: { field: Field & { kind: 'group' }; form: FormState }) {
  const isSet = valueAt(form.value, field.path) !== undefined;
  const hasProblem = [...form.problems.keys()].some((path) =>
    path.startsWith(`${field.path.join('.')}.`),
  );
  return (
    <details className="group" open={isSet || hasProblem || field.isRequired}>
      <summary>
        {sentence(field.name)} <span className="term">{field.about}</span>
      </summary>
      {field.fields.map((one) => (
        <FieldInput key={one.name} field={one} form={form} />
      ))}
    </details>
  );
}

function Choices({ field, form }: { field: Field & { kind: 'choices' }; form: FormState }) {
  const value = valueAt(form.value, field.path) ?? field.initial;
  const chosen = Array.isArray(value) ? value.map(String) : [];
  const toggle = (option: string, isOn: boolean) => {
    const next = field.options.filter((one) => (one === option ? isOn : chosen.includes(one)));
    form.set(field.path, next.length === 0 ? undefined : next);
  };
  return (
    <fieldset className="field">
      <legend>{sentence(field.name)}</legend>
      <div className="row">
        {field.options.map((option) => (
          <label key={option} className="check">
            <input
              type="checkbox"
              checked={chosen.includes(option)}
              onChange={(event) => toggle(option, event.target.checked)}
            />
            {option}
          </label>
        ))}
      </div>
      <small>{field.about}</small>
    </fieldset>
  );
}

const formNames: Readonly<Record<string, string>> = {
  text: 'one text',
  choice: 'a name',
  number: 'a number',
  group: 'in parts',
  lines: 'a list',
  pairs: 'pairs',
  yaml: 'with options (YAML)',
  switch: 'yes or no',
};

function Either({ field, form }: { field: Field & { kind: 'either' }; form: FormState }) {
  const value = valueAt(form.value, field.path);
  const [picked, setPicked] = useState<string>();
  const byValue = formOf(field.forms, value);
  const current =
    value === undefined ? (field.forms.find(({ kind }) => kind === picked) ?? byValue) : byValue;
  const pick = (kind: string) => {
    setPicked(kind);
    if (value !== undefined) form.set(field.path, undefined);
  };
  return (
    <div className="either">
      <FieldInput field={current} form={form} />
      <label className="either-pick">
        <span className="hidden">{sentence(field.name)} written as </span>
        <select value={current.kind} onChange={(event) => pick(event.target.value)}>
          {field.forms.map(({ kind }) => (
            <option key={kind} value={kind}>
              {formNames[kind] ?? kind}
            </option>
          ))}
        </select>
      </label>
    </div>
  );
}
