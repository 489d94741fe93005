/**
 * The score of what the files of an export hold, on the examples that the run's own test score is
 * about. That opens the test split once more, yet unseals nothing: the same prompt on the same
 * examples gives a number that is known, and nothing is chosen by it.
 */
import { DataError } from '../errors.ts';
import type { Solution } from '../methods/index.ts';
import type { Bench } from '../runs/bench.ts';
import { scoreSolutions } from '../runs/choose.ts';
import { openFile } from '../runs/evaluate.ts';
import type { SplitScore } from '../runs/events.ts';
import { splitScore } from '../runs/measure.ts';
import { type AnyExample, sampleStratified } from '../tasks/index.ts';
import { createRng } from '../util/rng.ts';
import type { ReadBack } from './exporter.ts';
import type { Finding } from './finding.ts';
import { bind, formOf } from './form.ts';

/** The run's test examples: all of them, or the sample that it had time for, as `optimize` draws it. */
function testExamples({ bench, found }: Finding): readonly AnyExample[] {
  const all = bench.task.test.open();
  const size = found.examples + (found.failed ?? 0);
  return sampleStratified<AnyExample>(all, size, createRng('test sample'));
}

/** @throws DataError when the examples are not those that the run saw */
export function refuseChangedData({ run, bench }: Finding): void {
  const now = bench.task.hashes;
  const place = 'split:test';
  if (run.hashes[place] === undefined || run.hashes[place] === now[place]) return;
  const file = Object.keys(now).find(
    (name) => run.hashes[name] !== undefined && run.hashes[name] !== now[name] && name !== place,
  );
  throw new DataError(
    `${file ?? 'the data'}: has changed since run ${run.id}, so that its score cannot be checked; put the old file back or run again`,
  );
}

/** @throws DataError when the model is another than the run's */
export function refuseChangedModel({ run, bench }: Finding): void {
  const { key, name } = bench.taskLm;
  if (run.hashes.taskLm === undefined || run.hashes.taskLm === key) return;
  throw new DataError(
    `${name}: is not the task LM that run ${run.id} used (${run.hashes.taskLm}, now ${key}); put that model back or run again`,
  );
}

/** @throws DataError when a text that was read back is not sent as the run's own is */
export function refuseOtherText(back: ReadBack, finding: Finding): void {
  if (back.kind !== 'text') return;
  const { answers: { asking }, config } = finding; // biome-ignore format: one line
  const hasQuestion = config.task.question !== undefined;
  const sent = (template: string, prompt: string) =>
    // Inputs come without spaces around them.
    ['x', 'an {input} of two words'].map((input) =>
      JSON.stringify(
        bind(formOf(asking, template), prompt, {
          input,
          question: hasQuestion ? `${input}?` : '',
          mask: 'M',
        }),
      ),
    );
  const [own, other] = [sent(finding.template, finding.prompt), sent(back.template, back.prompt)];
  if (own.join() === other.join()) return;
  throw new DataError(
    'the files, read again, do not hold the prompt that was found; take the format json, which holds any text',
  );
}

export async function rescore(back: ReadBack, finding: Finding): Promise<SplitScore> {
  const { bench } = finding;
  const solution = await solutionOf(back, finding);
  try {
    const [score] = await scoreSolutions(bench, [solution], testExamples(finding));
    return splitScore(score!);
  } finally {
    if (solution.kind !== 'text') await solution.close();
  }
}

async function solutionOf(back: ReadBack, { bench, run }: Finding): Promise<Solution> {
  if (back.kind === 'text') {
    // Another template is another pass; the task's own is shared with what was computed before.
    const isOwn = back.template === ownTemplate(bench);
    const template = isOwn ? undefined : back.template;
    return { kind: 'text', text: back.prompt, template };
  }
  return openFile(back.path, run.method, bench);
}

function ownTemplate({ task }: Bench): string {
  return task.template.source;
}
