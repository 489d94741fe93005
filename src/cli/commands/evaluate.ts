/** `whetstone evaluate`: scores a prompt, a saved tensor or a run's result on one split. */
import { type Command, Option } from 'commander';
import { ConfigError } from '../../errors.ts';
import type { JudgedExample, Subject } from '../../runs/evaluate.ts';
import type { SplitName } from '../../runs/events.ts';
import type { Thresholds } from '../../runs/threshold.ts';
import { withJson, withJUnit, withSet, withThreshold } from '../options.ts';
import { session } from '../session.ts';
import { showThresholds } from '../show-thresholds.ts';

interface Options extends Thresholds {
  readonly prompt?: string;
  readonly softPrompt?: string;
  readonly adapter?: string;
  readonly run?: string;
  readonly split: SplitName;
  readonly junit?: string;
  readonly set?: string[];
}

export function defineEvaluate(program: Command): void {
  const command = withThreshold(program.command('evaluate'), 'the score');
  withJson(withSet(withJUnit(command, 'a case an example')))
    .description('score a prompt or what a run found on a split, in float32')
    .argument('[config]', 'configuration file', 'whetstone.yaml')
    .option('--prompt <text>', 'the prompt, as it goes into the template')
    .option('--soft-prompt <file>', 'a soft-prompt.safetensors of the method soft-prompt')
    .option('--adapter <file>', 'an adapter_model.safetensors of the method fine-tune')
    .option('--run <id>', 'what a run found: its id, the start of it, or "last"')
    .addOption(
      new Option('--split <name>', 'which examples; look at test as rarely as you can')
        .choices(['train', 'validation', 'test'])
        .default('validation'),
    )
    .action(runEvaluate);
}

async function runEvaluate(path: string, options: Options): Promise<void> {
  const { region, signal, style, width, print, emit } = session();
  const [{ loadConfig }, { evaluate }, { showRun }] = await Promise.all([
    import('../../runs/config.ts'),
    import('../../runs/evaluate.ts'),
    import('../show.ts'),
  ]);
  const { checkJUnit, writeJUnit } = await import('../../runs/report/write-junit.ts');
  await checkJUnit(options.junit);
  const loaded = await loadConfig(path, { set: options.set });
  const { split } = options;
  const subject = await subjectOf(options);
  const started = new Date();
  let seen: { readonly task: string; readonly answers: readonly JudgedExample[] } | undefined;
  const evaluated = await evaluate(loaded, {
    subject,
    split,
    onEvent: showRun(session()),
    signal,
    onAnswers: (task, answers) => {
      seen = { task, answers };
    },
  });
  const { judge } = await import('../../runs/threshold.ts');
  const thresholds = judge(evaluated, options);
  const isReached = thresholds.every((one) => one.isReached);
  const result = thresholds.length > 0 ? { ...evaluated, isReached } : evaluated;
  if (options.junit !== undefined && seen) {
    const { evaluationSuite } = await import('../../runs/report/junit.ts');
    const seconds = (Date.now() - started.getTime()) / 1000;
    const suite = evaluationSuite({ ...seen, result, thresholds }, { seconds, started });
    await writeJUnit(options.junit, [suite]);
  }
  const [{ renderTable }, { formatScore, formatShare }, { ledgerLines, quote, rewardLines }] =
    await Promise.all([
      import('../render/table.ts'),
      import('../../util/format.ts'),
      import('../render/run-view.ts'),
    ]);
  region.close({ keep: false });
  const table = renderTable(
    [
      { title: 'class' },
      { title: 'label word' },
      { title: 'recall', align: 'right' },
      { title: 'examples', align: 'right' },
    ],
    result.perClass.map((c) => [c.gold, c.word, formatShare(c.recall), String(c.examples)]),
    { style: style.out, width },
  );
  const score = style.out.bold(formatScore(result));
  const metric = result.metric === undefined ? '' : `${result.metric} `;
  const failed = result.failed === undefined ? '' : ` (${result.failed} more have no score)`;
  print(
    `${quote(result.prompt)} on ${split}: ${metric}${score}, ${result.examples} examples${failed}, 95% interval`,
  );
  if (result.perClass.length > 0) for (const line of table) print(line);
  for (const line of rewardLines(result.reward, style.out)) print(line);
  for (const line of ledgerLines(result.ledger, style.out)) print(line);
  emit(result);
  showThresholds(session(), thresholds);
}

/** @throws ConfigError unless exactly one thing to score is named */
async function subjectOf({ prompt, softPrompt, adapter, run }: Options): Promise<Subject> {
  const given = [prompt, softPrompt, adapter, run].filter((value) => value !== undefined);
  if (given.length !== 1) {
    throw new ConfigError(
      `evaluate: expected one of --prompt, --soft-prompt, --adapter and --run, got ${given.length}`,
    );
  }
  if (prompt !== undefined) return { prompt };
  if (softPrompt !== undefined) return { file: softPrompt, method: 'soft-prompt' };
  if (adapter !== undefined) return { file: adapter, method: 'fine-tune' };
  const { openStore } = await import('../../runs/store.ts');
  const store = await openStore();
  try {
    return { run: store.getRun(run!) };
  } finally {
    store.close();
  }
}
