/**
 * A metric of one's own: a module whose default export judges one output.
 *
 *   export default (output, gold, input) => number from 0 to 1 | null, or a promise of it
 *
 * The module is code that runs with all rights of the process, so its path comes from the
 * configuration alone, never from data. Of several golds the best counts. Examples are judged one
 * after another. One that throws or gives something else is null; ten in a row stop the run. A
 * function that never returns cannot be stopped.
 */
import { stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { ConfigError, isAbort } from '../../errors.ts';
import { excerpt } from '../excerpt.ts';
import { type Answer, metric } from './metric.ts';
import { watchFailures } from './streak.ts';

/** What the module exports. */
export type OwnMetric = (
  output: string,
  gold: string,
  input: string,
) => number | null | Promise<number | null>;

/** Rounding may leave a sum of shares a little above 1. */
const SLACK = 1e-9;

export const ownFunction = metric({
  name: 'function',
  summary: 'The default export of a module of your own: (output, gold, input) => number or null.',
  options: {
    path: z
      .string()
      .min(1)
      .describe('JavaScript or TypeScript module, relative to the configuration file'),
  },
  async open({ path }, { folder = '.' }) {
    const judge = await load(path, folder);
    const watch = watchFailures('function');
    return {
      name: 'function',
      async score(answers, signal) {
        const scores: (number | null)[] = [];
        for (const answer of answers) {
          signal?.throwIfAborted();
          const { score, reason } = await judgeOne(judge, answer);
          scores.push(watch.tell(answer, score, reason && `${path} ${reason}`));
        }
        return scores;
      },
      lastFailure: watch.lastReason,
    };
  },
});

/** @throws ConfigError when there is no such module, or none with a function as default export */
async function load(path: string, folder: string): Promise<OwnMetric> {
  const place = `metric.path: ${path}`;
  const file = resolve(folder, path);
  const found = await stat(file).catch(() => undefined);
  if (!found?.isFile()) throw new ConfigError(`${place}: no such file; expected a module`);
  let module: { default?: unknown };
  try {
    module = await import(/* @vite-ignore */ pathToFileURL(file).href);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const why =
      code === 'ERR_UNKNOWN_FILE_EXTENSION'
        ? `Node ${process.versions.node} does not load such files; write it as .mjs, or for ` +
          'TypeScript use Node 22.18 or later'
        : excerpt(message ?? String(error), 200);
    throw new ConfigError(`${place}: cannot be loaded: ${why}`);
  }
  if (typeof module.default === 'function') return module.default as OwnMetric;
  throw new ConfigError(
    `${place}: expected a default export (output, gold, input) => number, ` +
      `got ${module.default === undefined ? 'none' : typeof module.default}`,
  );
}

async function judgeOne(
  judge: OwnMetric,
  { output, golds, input }: Answer,
): Promise<{ score: number | null; reason?: string }> {
  const scores: number[] = [];
  for (const gold of golds) {
    let value: unknown;
    try {
      value = await judge(output, gold, input);
    } catch (error) {
      if (isAbort(error)) throw error;
      return { score: null, reason: `threw: ${excerpt(messageOf(error), 200)}` };
    }
    if (value === null) continue;
    if (typeof value !== 'number' || !(value >= -SLACK && value <= 1 + SLACK)) {
      return { score: null, reason: `gave ${shown(value)}, not a number from 0 to 1 or null` };
    }
    scores.push(Math.min(1, Math.max(0, value)));
  }
  if (scores.length > 0) return { score: Math.max(...scores) };
  return { score: null, reason: 'gave null' };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function shown(value: unknown): string {
  return typeof value === 'number' ? String(value) : excerpt(`${typeof value} ${value}`);
}
