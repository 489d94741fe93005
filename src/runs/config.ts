/**
 * `whetstone.yaml` becomes a checked configuration: size and alias limits first, `--set` overrides
 * on top, then the schema. Every complaint names file, line and column, or the override at fault.
 */
import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import {
  type Document,
  isCollection,
  isMap,
  isNode,
  LineCounter,
  parseDocument,
  visit,
} from 'yaml';
import type { z } from 'zod';
import { ConfigError } from '../errors.ts';
import { describe, expectation } from '../util/expectation.ts';
import { sha256 } from '../util/hash.ts';
import { suggestion } from '../util/suggest.ts';
import { visible } from '../util/text.ts';
import { type Config, configSchema } from './config-schema.ts';

export { type Config, configJsonSchema, configSchema } from './config-schema.ts';

const MAX_BYTES = 2 ** 20;
const MAX_ALIASES = 50;
const MAX_DEPTH = 32;

export interface LoadedConfig {
  readonly config: Config;
  /** Absolute path of the file. */
  readonly path: string;
  /** Paths in the configuration are relative to this folder. */
  readonly folder: string;
  /** The file's bytes by their hash, and what was set on top; absent where there is no file. */
  readonly source?: { readonly sha256: string; readonly set: readonly string[] };
}

interface Source {
  /** How the file is named in messages. */
  readonly label: string;
  readonly document: Document;
  readonly lines: LineCounter;
  /** Dotted paths that `--set` gave. */
  readonly overridden: readonly string[];
}

/**
 * Reads and checks a configuration file; its paths are relative to its own folder, or another.
 * @throws ConfigError that says where and what
 */
export async function loadConfig(
  path: string,
  options: { set?: readonly string[] | undefined; folder?: string | undefined } = {},
): Promise<LoadedConfig> {
  const text = await readConfigFile(path);
  const config = parseConfig(text, { label: path, set: options.set });
  const absolute = resolve(path);
  const source = { sha256: sha256(text), set: options.set ?? [] };
  const folder = resolve(options.folder ?? dirname(absolute));
  return { config, path: absolute, folder, source };
}

/**
 * Checks the text of a configuration.
 * @throws ConfigError
 */
export function parseConfig(
  text: string,
  options: { label?: string; set?: readonly string[] | undefined } = {},
): Config {
  const { parsed, issues, data, source } = parseParts(text, options);
  if (parsed) return parsed;
  const [first, ...rest] = issues;
  const more = rest.length === 0 ? '' : ` (and ${rest.length} more)`;
  throw new ConfigError(`${complaint(first!, data, source)}${more}`);
}

export interface ConfigProblem {
  /** Dotted; empty for the whole. */
  readonly path: string;
  readonly message: string;
}

/**
 * All that the schema finds wrong with the text of a configuration, for a form that shows each in its
 * place.
 * @throws ConfigError when it is not readable as YAML
 */
export function problemsOf(text: string, label?: string): ConfigProblem[] {
  const { issues, data } = parseParts(text, label === undefined ? {} : { label });
  return issues.map((issue) => {
    const { path, message } = complaintParts(issue, data);
    return { path: path.join('.'), message };
  });
}

function parseParts(
  text: string,
  { label = 'whetstone.yaml', set = [] }: { label?: string; set?: readonly string[] | undefined },
) {
  const lines = new LineCounter();
  const document = parseYaml(text, label, lines);
  const data = toPlain(document, label);
  const overridden = set.map((assignment) => applySettings(data, assignment));
  const { data: parsed, error } = configSchema.safeParse(data);
  const issues = error?.issues.flatMap((issue) => flatten(issue)) ?? [];
  const source: Source = { label, document, lines, overridden };
  return { parsed, issues, data, source };
}

async function readConfigFile(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) {
      throw new ConfigError(`${path}: ${size} bytes, expected a configuration of at most 1 MB`);
    }
    return await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (error instanceof ConfigError) throw error;
    if (code === 'EISDIR') {
      throw new ConfigError(
        `${path}: is a folder, expected a configuration file in it to be named`,
      );
    }
    if (code === 'ENOENT') {
      throw new ConfigError(`${path}: no such file; make one with "whetstone init"`);
    }
    throw new ConfigError(`${path}: cannot be read (${code ?? String(error)})`);
  }
}

function parseYaml(text: string, label: string, lineCounter: LineCounter): Document {
  let document: Document;
  let problem: Problem | undefined;
  try {
    refuseDepth(text, label);
    // The parser compares each key with all others of its map, which takes minutes for a hundred thousand.
    document = parseDocument(text, { lineCounter, prettyErrors: false, uniqueKeys: false });
    problem = document.errors[0] ?? doubleKeyOf(document, label);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    if (error instanceof RangeError) throw tooDeep(label);
    throw new ConfigError(`${label}: not readable as YAML (${(error as Error).message})`);
  }
  if (problem !== undefined) {
    if (/call stack/.test(problem.message)) throw tooDeep(label);
    const { line, col } = lineCounter.linePos(problem.pos[0]);
    throw new ConfigError(`${label}:${line}:${col}: ${visible(problem.message)}`);
  }
  return document;
}

/** Flow collections nested without end would exhaust the parser's stack. */
function refuseDepth(text: string, label: string): void {
  if (/(?:[[{]\s*){33,}/.test(text) || /^(?:[-?:] ?){33,}/m.test(text)) {
    throw tooDeep(label);
  }
}

function tooDeep(label: string): ConfigError {
  return new ConfigError(`${label}: nested deeper than ${MAX_DEPTH} levels`);
}

interface Problem {
  readonly message: string;
  readonly pos: readonly [number, ...number[]];
}

/** The first key that stands twice in a map. @throws ConfigError for what is too deep */
function doubleKeyOf(document: Document, label: string): Problem | undefined {
  let found: Problem | undefined;
  visit(document, {
    Collection(_, node, path) {
      if (path.filter(isCollection).length >= MAX_DEPTH) throw tooDeep(label);
      const key = isMap(node) ? twice(node.items.map((pair) => pair.key)) : undefined;
      if (key === undefined) return undefined;
      found = { message: 'Map keys must be unique', pos: [(isNode(key) && key.range?.[0]) || 0] };
      return visit.BREAK;
    },
  });
  return found;
}

function twice(keys: readonly unknown[]): unknown {
  const seen = new Set<string>();
  return keys.find((key) => seen.size === seen.add(String(key)).size);
}

function toPlain(document: Document, label: string): Record<string, unknown> {
  let data: unknown;
  try {
    data = document.toJS({ maxAliasCount: MAX_ALIASES });
  } catch (error) {
    const message = (error as Error).message;
    const problem = /alias count/.test(message)
      ? `aliases (*name) stand for more than ${MAX_ALIASES} values, write them out`
      : visible(message);
    throw new ConfigError(`${label}: ${problem}`);
  }
  if (data === null || data === undefined) return {};
  if (typeof data !== 'object' || Array.isArray(data)) {
    throw new ConfigError(`${label}: expected keys like "task:", got ${describe(data)}`);
  }
  return data as Record<string, unknown>;
}

/** Puts `a.b=c` into `data`; returns the dotted path. @throws ConfigError for anything else */
export function applySettings(data: Record<string, unknown>, assignment: string): string {
  const at = assignment.indexOf('=');
  const path = assignment.slice(0, Math.max(at, 0)).trim();
  const keys = path.split('.');
  if (at <= 0 || keys.some((key) => key === '' || key === '__proto__')) {
    throw new ConfigError(`--set ${assignment}: expected key=value, as in budget.minutes=2`);
  }
  const text = assignment.slice(at + 1);
  const value = isTemplate(text) ? text : settingOf(text, path);
  let node = data;
  for (const key of keys.slice(0, -1)) {
    const next = Object.hasOwn(node, key) ? node[key] : undefined;
    if (next === null || typeof next !== 'object' || Array.isArray(next)) node[key] = {};
    node = node[key] as Record<string, unknown>;
  }
  node[keys.at(-1)!] = value;
  return path;
}

/** What begins with a slot, as "{input} {prompt}", is no map without values. */
function isTemplate(text: string): boolean {
  return /^\{\w+\}/.test(text);
}

function settingOf(text: string, path: string): unknown {
  if (text === '') return '';
  return parseYaml(text, `--set ${path}`, new LineCounter()).toJS({ maxAliasCount: 0 });
}

/** An issue of a union is as clear as the alternative that came furthest. */
function flatten(issue: z.core.$ZodIssue): z.core.$ZodIssue[] {
  if (issue.code !== 'invalid_union') return [issue];
  const furthest = issue.errors
    .flat()
    .filter((inner) => inner.path.length > 0 || inner.code === 'unrecognized_keys')
    .map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
  return furthest.length > 0 ? furthest.slice(0, 1) : [issue];
}

/** "--set task.inptu: unknown key (did you mean input?)": what the schema says of settings put on a record. */
export function complaintOfSet(issue: z.core.$ZodIssue, data: unknown): string {
  const { path, message } = complaintParts(flatten(issue)[0]!, data);
  return `--set ${visible(path.join('.'))}: ${message}`;
}

/** "whetstone.yaml:7:3: task.inptu: unknown key (did you mean input?)" */
function complaint(issue: z.core.$ZodIssue, data: unknown, source: Source): string {
  const { path, message } = complaintParts(issue, data);
  const name = path.length === 0 ? 'the configuration' : visible(path.join('.'));
  return `${where(path, source)}: ${name}: ${message}`;
}

function complaintParts(
  issue: z.core.$ZodIssue,
  data: unknown,
): { path: string[]; message: string } {
  const path = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') {
    const key = issue.keys[0]!;
    const known = keysAt(path).filter((name) => name !== key);
    return { path: [...path, key], message: `unknown key${suggestion(key, known)}` };
  }
  return { path, message: expectation(issue, data) };
}

/** File, line and column of a path, or the override that set it. */
function where(path: readonly string[], source: Source): string {
  const dotted = path.join('.');
  const override = source.overridden.findLast((set) => `${dotted}.`.startsWith(`${set}.`));
  if (override !== undefined) return `--set ${override}`;
  let offset: number | undefined;
  let node: unknown = source.document.contents;
  for (const key of path) {
    if (!isMap(node)) break;
    const pair = node.items.find((item) => String(item.key) === key);
    if (pair === undefined) break;
    if (isNode(pair.key)) offset = pair.key.range?.[0];
    node = pair.value;
  }
  if (offset === undefined) {
    const inside = source.overridden.find((set) => set.startsWith(`${dotted}.`));
    return inside === undefined ? source.label : `--set ${inside}`;
  }
  const { line, col } = source.lines.linePos(offset);
  return `${source.label}:${line}:${col}`;
}

/** Keys that the schema knows at a path. */
function keysAt(path: readonly string[]): string[] {
  let schema: unknown = configSchema;
  for (const key of [...path, undefined]) {
    schema = unwrap(schema);
    if (key === undefined) break;
    schema = (schema as { shape?: Record<string, unknown> }).shape?.[key];
  }
  return Object.keys((schema as { shape?: object } | undefined)?.shape ?? {});
}

function unwrap(schema: unknown): unknown {
  let inner = schema as { def?: { innerType?: unknown; options?: unknown[] } } | undefined;
  while (inner?.def?.innerType !== undefined) inner = inner.def.innerType as typeof inner;
  const options = inner?.def?.options;
  return options?.find((option) => (option as { shape?: object }).shape !== undefined) ?? inner;
}
