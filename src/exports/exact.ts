/**
 * What a card and the JSON format hold for a machine to read again: prompt and template, or the names
 * and hashes of a tensor's files, which stay where the run left them.
 */
import { z } from 'zod';
import { DataError } from '../errors.ts';
import type { ReadBack } from './exporter.ts';
import type { Finding } from './finding.ts';

export const exactSchema = z.union([
  z.object({ prompt: z.string(), template: z.string() }),
  z.object({
    template: z.string(),
    files: z.array(z.object({ name: z.string(), sha256: z.string() })).min(1),
  }),
]);

export type Exact = z.infer<typeof exactSchema>;

export function exactOf({ kind, prompt, template, files }: Finding): Exact {
  if (kind === 'text') return { prompt, template };
  return { template, files: files.map(({ name, sha256 }) => ({ name, sha256 })) };
}

/** @throws DataError when it says nothing, or names a file that the run does not have */
export function readExact(value: unknown, place: string, { files }: Finding): ReadBack {
  const parsed = exactSchema.safeParse(value);
  if (!parsed.success) throw new DataError(`${place}: holds no prompt with its template`);
  if ('prompt' in parsed.data) return { kind: 'text', ...parsed.data };
  const [first] = parsed.data.files;
  const known = files.find(({ name, sha256 }) => name === first!.name && sha256 === first!.sha256);
  if (known) return { kind: 'tensor', path: known.path };
  throw new DataError(`${place}: names a file ${first!.name} that is not what the run left`);
}
