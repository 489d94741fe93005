/**
 * The end of a comparison's cells: the test split is opened once for the texts of all that have the same
 * examples and template, and each cell keeps its answers.
 */
import { answerScores, type PromptScore } from '../environment/index.ts';
import { isAbort, StoreError, WhetstoneError } from '../errors.ts';
import type { TextSolution } from '../methods/index.ts';
import type { AnyExample } from '../tasks/index.ts';
import { scoreSolutions } from './choose.ts';
import type { CellTest, StoredCell } from './comparison-table.ts';
import { promptOf } from './conclude.ts';
import { type Grid, keyOf, putCell } from './grid.ts';
import { Journal } from './journal.ts';
import { splitScore } from './measure.ts';

/**
 * Opens the test split for the texts of all cells that have the same examples and template.
 * @param asksFailedAgain what got no answer in an earlier process is asked anew
 */
export async function testTexts(grid: Grid, asksFailedAgain = false): Promise<void> {
  const groups = new Map<string, StoredCell[]>();
  for (const cell of grid.cells.values()) {
    if (cell.state !== 'untested') continue;
    const { task } = grid.benches[cell.repetition]!;
    const { template } = cell.outcome!.found;
    const words = task.kind === 'text' ? task.labelWords : task.classes;
    const key = JSON.stringify([task.hashes['split:test'], template, words]);
    groups.set(key, [...(groups.get(key) ?? []), cell]);
  }
  for (const cells of groups.values()) {
    grid.journals.current = journalOf(grid, cells[0]!.run!);
    grid.journals.asksFailedAgain = asksFailedAgain;
    await testGroup(grid, cells).finally(() => {
      grid.journals.current = undefined;
      grid.journals.asksFailedAgain = false;
    });
  }
}

/** What the test pass was answered is kept with the first of its runs. */
function journalOf({ store }: Grid, run: string): Journal {
  const journal = new Journal({ recordings: store.recordings, run });
  journal.flush = () => store.append(run, { journal: journal.take() });
  return journal;
}

async function testGroup(grid: Grid, cells: readonly StoredCell[]): Promise<void> {
  const bench = grid.benches[cells[0]!.repetition]!;
  const prompts = cells.length === 1 ? '1 prompt' : `${cells.length} prompts`;
  const phase = `opening the sealed test split for ${prompts}`;
  const solutions = cells.map(({ outcome }): TextSolution => {
    const { prompt, template } = outcome!.found;
    return { kind: 'text', text: prompt, template };
  });
  try {
    const examples = bench.task.test.open();
    const total = examples.length;
    const report = (share: number) => {
      grid.signal?.throwIfAborted();
      const done = Math.round(share * total);
      grid.emit({ kind: 'progress', phase, done, total, unit: 'examples' });
    };
    report(0);
    const scores = await scoreSolutions(bench, solutions, examples, report);
    cells.forEach((cell, i) => {
      finishCell(grid, cell, { examples, score: scores[i]! });
    });
  } catch (error) {
    if (isAbort(error) || error instanceof StoreError || !bench.isAlive) throw error;
    // One prompt may be at fault (too long for some example): the others must not fail with it.
    const left = cells.filter(
      ({ method, repetition }) => grid.cells.get(keyOf(method, repetition))!.state === 'untested',
    );
    if (cells.length > 1) for (const cell of left) await testGroup(grid, [cell]);
    else {
      const [cell] = cells as [StoredCell];
      const message = `on the test split: ${error instanceof Error ? error.message : error}`;
      grid.store.finishRun(cell.run!, { state: 'failed', error: message });
      putCell(grid, { ...cell, state: 'failed', error: message });
    }
  }
}

/** Test examples without a score that are left out for all methods, as a share of them. */
const MOST_UNANSWERED = 0.1;

/** @throws WhetstoneError where too many have no score */
function testOf(score: PromptScore, examples: readonly AnyExample[], hash: string): CellTest {
  const hits: number[] = new Array(examples.length).fill(0);
  const scores = answerScores(score, examples);
  score.examples.forEach((e, i) => {
    hits[e] = scores[i]!;
  });
  const answered = new Set(score.examples);
  const unanswered = [...examples.keys()].filter((e) => !answered.has(e));
  if (unanswered.length > MOST_UNANSWERED * examples.length) {
    throw new WhetstoneError(
      `${unanswered.length} of ${examples.length} test examples have no score, more than a tenth, so that the prompt cannot be compared with others; ask for them again with --retry-failed`,
    );
  }
  const gold = examples.map(({ label = 0 }) => label);
  return { hash, hits, gold, ...(unanswered.length > 0 ? { unanswered } : {}) };
}

/** Stores the answers to the test examples with the cell, and its run's result. */
export function finishCell(
  grid: Grid,
  cell: StoredCell,
  { examples, score }: { examples: readonly AnyExample[]; score: PromptScore },
): void {
  const { task } = grid.benches[cell.repetition]!;
  const { found, trainReward } = cell.outcome!;
  const test = testOf(score, examples, task.hashes['split:test']!);
  const result = { ...found, test: splitScore(score) };
  const prompts = [promptOf(result, trainReward)];
  // A process may have ended between this and what follows.
  const events = grid.store.lastEvent(cell.run!, 'result') ? [] : [result];
  grid.store.append(cell.run!, { events, prompts, end: { state: 'done', result } });
  putCell(grid, { ...cell, state: 'done', outcome: { ...cell.outcome!, test } });
}
