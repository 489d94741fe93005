/**
 * Fields of a form, read off a JSON Schema: one for each setting, with its words, default and limits.
 * What a form cannot show simply (maps of maps, lists of objects) is left to the YAML beside it.
 */

export interface JsonSchema {
  readonly type?: string | readonly string[];
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly required?: readonly string[];
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly default?: unknown;
  readonly description?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly additionalProperties?: JsonSchema | boolean;
  readonly $ref?: string;
  readonly $defs?: Readonly<Record<string, JsonSchema>>;
}

export type Path = readonly string[];

interface Common {
  readonly path: Path;
  /** The setting's own name. */
  readonly name: string;
  readonly about: string;
  readonly isRequired: boolean;
  readonly initial?: unknown;
}

export type Field = Common &
  (
    | { readonly kind: 'text' | 'switch' | 'lines' | 'pairs' | 'yaml' }
    | {
        readonly kind: 'number';
        readonly isWhole: boolean;
        readonly least?: number;
        readonly most?: number;
      }
    | { readonly kind: 'choice'; readonly options: readonly string[] }
    | { readonly kind: 'choices'; readonly options: readonly string[] }
    | { readonly kind: 'group'; readonly fields: readonly Field[] }
    /** More than one form: which one follows from the value that stands there. */
    | { readonly kind: 'either'; readonly forms: readonly Field[] }
  );

/** Fields of an object's properties, in the schema's order. */
export function fieldsOf(schema: JsonSchema, path: Path = [], root: JsonSchema = schema): Field[] {
  const { properties = {}, required = [] } = resolve(schema, root);
  return Object.entries(properties).map(([name, property]) =>
    fieldOf(property, { path: [...path, name], isRequired: required.includes(name), root }),
  );
}

interface Place {
  readonly path: Path;
  readonly isRequired: boolean;
  readonly root: JsonSchema;
}

function fieldOf(given: JsonSchema, place: Place): Field {
  const schema = resolve(given, place.root);
  const common: Common = {
    path: place.path,
    name: place.path.at(-1)!,
    about: given.description ?? schema.description ?? '',
    isRequired: place.isRequired,
    ...(schema.default === undefined ? {} : { initial: schema.default }),
  };
  const variants = (schema.anyOf ?? schema.oneOf)?.filter((one) => one.type !== 'null');
  if (variants && variants.length > 0) return eitherOf(variants, common, place);
  if (schema.enum) return { ...common, kind: 'choice', options: schema.enum.map(String) };
  if (schema.const !== undefined)
    return { ...common, kind: 'choice', options: [String(schema.const)] };
  switch (schema.type) {
    case 'string':
      return { ...common, kind: 'text' };
    case 'boolean':
      return { ...common, kind: 'switch' };
    case 'integer':
    case 'number':
      return { ...common, kind: 'number', isWhole: schema.type === 'integer', ...limitsOf(schema) };
    case 'array':
      return listOf(schema, common, place);
    case 'object':
      return objectOf(schema, common, place);
    default:
      return { ...common, kind: 'yaml' };
  }
}

function eitherOf(variants: readonly JsonSchema[], common: Common, place: Place): Field {
  // An object whose only key is its name says no more than the name itself.
  const telling = variants.filter(
    (one) => Object.keys(resolve(one, place.root).properties ?? { any: 0 }).join() !== 'name',
  );
  const forms = telling.map((one) => ({ ...fieldOf(one, place), ...common }) as Field);
  const distinct = forms.filter(
    (form, i) => forms.findIndex((other) => other.kind === form.kind) === i,
  );
  return distinct.length === 1 ? distinct[0]! : { ...common, kind: 'either', forms: distinct };
}

function listOf(schema: JsonSchema, common: Common, { root }: Place): Field {
  const items = resolve(schema.items ?? {}, root);
  if (items.enum) return { ...common, kind: 'choices', options: items.enum.map(String) };
  return { ...common, kind: items.type === 'string' ? 'lines' : 'yaml' };
}

function objectOf(schema: JsonSchema, common: Common, { path, root }: Place): Field {
  if (schema.properties && Object.keys(schema.properties).length > 0) {
    return { ...common, kind: 'group', fields: fieldsOf(schema, path, root) };
  }
  const values = schema.additionalProperties;
  const isPlain = typeof values === 'object' && resolve(values, root).type === 'string';
  return { ...common, kind: isPlain ? 'pairs' : 'yaml' };
}

function limitsOf(schema: JsonSchema): { least?: number; most?: number } {
  // Whole numbers without limits are given those that a float64 can hold; nobody wants to read them.
  const isTold = (limit: number | undefined): limit is number =>
    limit !== undefined && Math.abs(limit) < Number.MAX_SAFE_INTEGER;
  return {
    ...(isTold(schema.minimum) ? { least: schema.minimum } : {}),
    ...(isTold(schema.maximum) ? { most: schema.maximum } : {}),
  };
}

function resolve(schema: JsonSchema, root: JsonSchema): JsonSchema {
  const name = schema.$ref?.match(/^#\/\$defs\/(.+)$/)?.[1];
  return (name === undefined ? undefined : root.$defs?.[name]) ?? schema;
}

/** The form that a value has, or the first one. */
export function formOf(forms: readonly Field[], value: unknown): Field {
  const fits = (field: Field): boolean => {
    if (Array.isArray(value)) return field.kind === 'lines' || field.kind === 'choices';
    if (typeof value === 'object' && value !== null) {
      return field.kind === 'group' || field.kind === 'pairs' || field.kind === 'yaml';
    }
    if (typeof value === 'number') return field.kind === 'number';
    if (typeof value === 'boolean') return field.kind === 'switch';
    return field.kind === 'text' || field.kind === 'choice';
  };
  return (value === undefined ? undefined : forms.find(fits)) ?? forms[0]!;
}
