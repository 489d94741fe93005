/**
 * What a format is: which results it holds, how it is written, and how its own bytes are read again.
 * Reading never sees what was written but the files; what it finds is scored anew.
 */
import type { SolutionKind } from '../methods/index.ts';
import type { Finding } from './finding.ts';
import type { Asking } from './form.ts';

export interface WrittenFile {
  /** Below the folder of the export, with "/". */
  readonly name: string;
  readonly data: string | Uint8Array;
}

/** Files by name, as they lie on the disk. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** What files hold: a text in a template, or a tensor. */
export type ReadBack =
  | { readonly kind: 'text'; readonly prompt: string; readonly template: string }
  /** Path of a file that the run's method opens. */
  | { readonly kind: 'tensor'; readonly path: string };

export interface ReadFrom {
  readonly files: Files;
  /** Where they lie. */
  readonly folder: string;
  readonly finding: Finding;
}

export interface Exporter {
  readonly name: string;
  readonly kinds: readonly SolutionKind[];
  /** Ways of asking a task LM that it can express. @default all of them */
  readonly asking?: readonly Asking[];
  /** Why it cannot hold this one, though it holds its kind; ends a sentence. */
  refuses?(finding: Finding): string | undefined;
  /** The files of an export; a format of tensors writes them into the folder by itself. */
  write(finding: Finding, folder: string): Promise<readonly WrittenFile[]> | readonly WrittenFile[];
  /** @throws DataError when they do not hold what they should */
  read(from: ReadFrom): Promise<ReadBack> | ReadBack;
}

export function exporter(definition: Exporter): Exporter {
  return definition;
}

/** Results that are no text. */
export const tensorKinds: readonly SolutionKind[] = ['soft-prompt', 'weights', 'policy'];
export const allKinds: readonly SolutionKind[] = ['text', ...tensorKinds];
