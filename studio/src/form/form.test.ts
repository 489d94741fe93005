/** From the schema to fields, and from fields into the YAML and back. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { methods } from '../../../src/methods/index.ts';
import { configJsonSchema } from '../../../src/runs/config-schema.ts';
import { parse, valueAt, write } from './document.ts';
import { type Field, fieldsOf, formOf, type JsonSchema } from './fields.ts';

const fields = fieldsOf(configJsonSchema() as JsonSchema);
const find = (path: string, among: readonly Field[] = fields): Field => {
  for (const field of among) {
    if (field.path.join('.') === path) return field;
    if (field.kind === 'group' && path.startsWith(`${field.path.join('.')}.`)) {
      return find(path, field.fields);
    }
  }
  throw new Error(`no field ${path}`);
};

describe('fields of the configuration', () => {
  it('cover every setting, with words and defaults', () => {
    const { properties = {} } = configJsonSchema() as JsonSchema;
    expect(fields.map(({ name }) => name)).toEqual(Object.keys(properties));
    for (const { about } of fields) expect(about).not.toBe('');
    expect(find('budget.minutes')).toMatchObject({ kind: 'number', initial: 10 });
    expect(find('task.kind')).toMatchObject({ kind: 'choice', isRequired: false });
    expect(find('task.labels')).toMatchObject({ kind: 'pairs' });
    expect(find('policy.context')).toMatchObject({ kind: 'choices' });
  });

  it('offer the forms that a setting may have, and know which one stands there', () => {
    const data = find('task.data');
    if (data.kind !== 'either') throw new Error(`expected more than one form, got ${data.kind}`);
    expect(formOf(data.forms, 'a.csv').kind).toBe('text');
    const parts = formOf(data.forms, { train: 'a.csv' });
    expect(parts.kind === 'group' && parts.fields.map(({ name }) => name)).toEqual([
      'train',
      'validation',
      'test',
    ]);
  });

  it('show nothing of limits that mean no limit', () => {
    expect(find('seed')).toMatchObject({ kind: 'number', isWhole: true, least: 0 });
    expect(find('seed')).not.toHaveProperty('most');
  });

  it.each(Object.keys(methods))('serve the options of %s', (name) => {
    const { options } = methods[name as keyof typeof methods];
    const schema = z.toJSONSchema(options, { io: 'input', unrepresentable: 'any' });
    const own = fieldsOf(schema as JsonSchema, ['method']);
    expect(own.length).toBeGreaterThan(0);
    for (const { path } of own) expect(path[0]).toBe('method');
  });
});

describe('the YAML', () => {
  const text = 'task:\n  data: a.csv # mine\nmethod: { name: manual }\n';

  it('keeps comments and what the form does not show', () => {
    const next = write(text, ['budget', 'minutes'], 3);
    expect(next).toContain('# mine');
    expect(parse(next).value).toEqual({
      task: { data: 'a.csv' },
      method: { name: 'manual' },
      budget: { minutes: 3 },
    });
  });

  it('loses a setting that is emptied, and the map that this leaves empty', () => {
    const set = write(text, ['budget', 'minutes'], 3);
    expect(parse(write(set, ['budget', 'minutes'], undefined)).value).toEqual(parse(text).value);
  });

  it('makes room where another form stood', () => {
    const next = write(text, ['task', 'data', 'train'], 'b.csv');
    expect(valueAt(parse(next).value, ['task', 'data'])).toEqual({ train: 'b.csv' });
  });

  it('starts from nothing, and says what is wrong rather than lose a text', () => {
    expect(parse(write('', ['seed'], 2)).value).toEqual({ seed: 2 });
    const broken = 'task: [1';
    expect(parse(broken).problem).toBeDefined();
    expect(write(broken, ['seed'], 2)).toBe(broken);
  });
});
