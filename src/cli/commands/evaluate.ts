/** `whetstone evaluate`: scores one prompt on one split. */
import { type Command, Option } from 'commander';
import type { SplitName } from '../../runs/events.ts';
import { withJson, withSet } from '../options.ts';
import { session } from '../session.ts';

interface Options {
  readonly prompt: string;
  readonly split: SplitName;
  readonly set?: string[];
}

export function defineEvaluate(program: Command): void {
  withJson(withSet(program.command('evaluate')))
    .description('score one prompt on a split, in float32')
    .argument('[config]', 'configuration file', 'whetstone.yaml')
    .requiredOption('--prompt <text>', 'the prompt, as it goes into the template')
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
  const loaded = await loadConfig(path, { set: options.set });
  const { prompt, split } = options;
  const result = await evaluate(loaded, { prompt, split, onEvent: showRun(session()), signal });
  const [{ renderTable }, { formatScore, formatShare }, { quote }] = await Promise.all([
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
  print(`${quote(prompt)} on ${split}: ${score}, ${result.examples} examples, 95% interval`);
  for (const line of table) print(line);
  emit(result);
}
