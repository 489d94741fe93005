/** Everything that is known of a result, for programs: the fields keep their names and meanings. */

import { exactOf, readExact } from '../exact.ts';
import { allKinds, exporter } from '../exporter.ts';
import { jsonText } from '../literal.ts';
import { jsonOf, textOf } from '../read-files.ts';
import { redacted } from '../redacted.ts';

const FILE = 'prompt.json';
const VERSION = 1;

export const json = exporter({
  name: 'json',
  kinds: allKinds,
  write: (finding) => {
    const { run, answers, task, config, lineage, kind } = finding;
    const { result } = run;
    const whole = {
      kind: 'whetstone-prompt',
      version: VERSION,
      result: kind,
      ...exactOf(finding),
      asking: answers.asking,
      ...(answers.labels ? { labels: answers.labels } : {}),
      maxTokens: answers.maxTokens,
      stop: answers.stop,
      promptTokens: result.promptTokens,
      metric: answers.metric,
      scores: { train: result.train, validation: result.validation, test: result.test },
      yardsticks: (result.rows ?? []).slice(0, -1),
      ...(result.fluency ? { fluency: result.fluency } : {}),
      task: {
        name: task.name,
        description: task.description,
        examples: {
          train: task.train.length,
          validation: task.validation.length,
          test: task.test.size,
        },
      },
      run: {
        id: run.id,
        method: run.method,
        seed: run.seed,
        started: run.started,
        ended: run.ended,
        evaluations: result.evaluations,
        seconds: result.seconds,
      },
      lineage,
      configuration: redacted(config),
      versions: run.versions,
      hashes: run.hashes,
    };
    return [{ name: FILE, data: `${jsonText(whole)}\n` }];
  },
  read: ({ files, finding }) => readExact(jsonOf(textOf(files, FILE), FILE), FILE, finding),
});
