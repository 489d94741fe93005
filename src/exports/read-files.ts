/** What readers of formats have in common: a file's text, as UTF-8 or not at all; its JSON. */
import { DataError } from '../errors.ts';
import type { Files } from './exporter.ts';

/** @throws DataError when the file is missing or is no UTF-8 */
export function textOf(files: Files, name: string): string {
  const bytes = files.get(name);
  if (bytes === undefined) throw new DataError(`${name}: the file is missing from the export`);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw new DataError(`${name}: is not UTF-8`);
  }
}

/** @throws DataError when it is no JSON */
export function jsonOf(text: string, name: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new DataError(`${name}: cannot be read again (${(error as Error).message})`);
  }
}
