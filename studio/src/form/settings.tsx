/** The settings of a run as a form: task, models, method, budget, and everything else folded away. */
import { useMemo } from 'react';
import type { SchemaAnswer } from '../../../src/server/contract.ts';
import { Card } from '../parts/bits.tsx';
import { valueAt } from './document.ts';
import { FieldInput, type FormState } from './field.tsx';
import { type Field, fieldsOf, type JsonSchema } from './fields.ts';

interface Props {
  readonly schema: SchemaAnswer;
  readonly form: FormState;
  /** False where several methods are compared. */
  readonly hasMethod: boolean;
}

export function SettingsForm({ schema, form, hasMethod }: Props) {
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
