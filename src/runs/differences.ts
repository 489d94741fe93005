/** Where two plain values differ, by path. */

export interface Difference {
  /** "method.learningRate"; keys that hold a dot stand as they are. */
  readonly path: string;
  readonly a: unknown;
  readonly b: unknown;
}

/** Differences in the order of keys; lists count as one value. */
export function differences(a: unknown, b: unknown, path: readonly string[] = []): Difference[] {
  if (isGroup(a) && isGroup(b)) {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])];
    return keys.flatMap((key) => differences(a[key], b[key], [...path, key]));
  }
  return isSame(a, b) ? [] : [{ path: path.join('.'), a, b }];
}

function isGroup(value: unknown): value is Readonly<Record<string, unknown>> {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

function isSame(a: unknown, b: unknown): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}
