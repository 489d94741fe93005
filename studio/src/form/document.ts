/**
 * The configuration as a YAML text, which alone is the truth: the form reads its values from it and
 * writes single settings into it, so that comments and what the form does not show stay.
 */
import { Document, isMap, parseDocument } from 'yaml';
import type { Path } from './fields.ts';

export interface Parsed {
  readonly value: unknown;
  /** The first mistake in the text, if there is one. */
  readonly problem?: string;
}

export function parse(text: string): Parsed {
  const document = parseDocument(text, { prettyErrors: true });
  const [mistake] = document.errors;
  if (mistake) return { value: undefined, problem: mistake.message.split('\n')[0]! };
  try {
    return { value: document.toJS() };
  } catch (error) {
    return { value: undefined, problem: (error as Error).message };
  }
}

/** The text with one setting changed; undefined takes it out, and the maps that it leaves empty. */
export function write(text: string, path: Path, value: unknown): string {
  const document = parseDocument(text);
  if (document.errors.length > 0) return text;
  if (!isMap(document.contents)) return new Document(valued(path, value)).toString();
  if (value === undefined) {
    document.deleteIn(path);
    prune(document, path.slice(0, -1));
  } else {
    makeRoom(document, path);
    document.setIn(path, document.createNode(value));
  }
  return document.toString({ lineWidth: 0 });
}

function prune(document: Document, path: Path): void {
  for (let length = path.length; length > 0; length--) {
    const at = path.slice(0, length);
    const node = document.getIn(at);
    if (!isMap(node) || node.items.length > 0) return;
    document.deleteIn(at);
  }
}

/** A text that stands where a map is needed gives way. */
function makeRoom(document: Document, path: Path): void {
  for (let length = 1; length < path.length; length++) {
    const at = path.slice(0, length);
    const node = document.getIn(at, true);
    if (node !== undefined && !isMap(node)) document.setIn(at, document.createNode({}));
  }
}

/** A value under a path of keys. */
const valued = (path: Path, value: unknown): unknown =>
  path.reduceRight<unknown>((inner, key) => ({ [key]: inner }), value);

export function valueAt(value: unknown, path: Path): unknown {
  return path.reduce<unknown>(
    (at, key) =>
      typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined,
    value,
  );
}
