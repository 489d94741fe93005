/** `whetstone export`: what a run found, in another tool's form, scored again from its own bytes. */
import { type Command, Option } from 'commander';
import { type ExportFormat, exporters, exportFormats } from '../../exports/index.ts';
import { share, withJson } from '../options.ts';
import { session } from '../session.ts';

interface Options {
  readonly to: ExportFormat;
  readonly out?: string;
  readonly tolerance: number;
}

export function defineExport(program: Command): void {
  withJson(program.command('export'))
    .description(
      'write what a run found in the form of another tool, and score it again from there',
    )
    .argument('<run>', 'its id, the beginning of it, or "last"')
    .addOption(
      new Option('--to <format>', describeFormats()).choices(exportFormats).makeOptionMandatory(),
    )
    .option('--out <folder>', 'where the files go (default: exports/RUN)')
    .option(
      '--tolerance <share>',
      'most that the score may differ from the run’s: for models behind an API',
      share,
      0,
    )
    .action(runExport);
}

function describeFormats(): string {
  return Object.entries(exporters)
    .map(([name, { summary }]) => `${name}: ${summary}`)
    .join('; ');
}

async function runExport(id: string, options: Options): Promise<void> {
  const [{ exportRun, defaultFolder }, { openStore }, { showRun }, { formatShare }, { visible }] =
    await Promise.all([
      import('../../exports/export-run.ts'),
      import('../../runs/store.ts'),
      import('../show.ts'),
      import('../../util/format.ts'),
      import('../../util/text.ts'),
    ]);
  const { region, signal, style, print, emit } = session();
  const store = await openStore();
  try {
    const run = store.getRun(id);
    const result = await exportRun(run, {
      format: options.to,
      out: options.out ?? defaultFolder(run.id),
      tolerance: options.tolerance,
      store,
      signal,
      onEvent: showRun(session()),
    });
    region.close({ keep: false });
    for (const file of result.files) print(visible(file));
    const [score, rescored] = [result.score, result.rescored].map(formatShare);
    print(
      `${style.out.bold(rescored!)} on ${result.examples} test examples, scored from these files; the run said ${score}`,
    );
    emit(result);
  } finally {
    store.close();
  }
}
