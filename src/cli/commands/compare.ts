/** `whetstone compare`: several methods on the same data, budget and seeds, judged fairly. */
import { type Command, InvalidArgumentError } from 'commander';
import type { Thresholds } from '../../runs/threshold.ts';
import { withFolder, withJson, withJUnit, withSet, withThreshold } from '../options.ts';
import { session } from '../session.ts';
import { showPlan } from '../show-plan.ts';
import { showThresholds } from '../show-thresholds.ts';

interface Options extends Thresholds {
  readonly methods?: string[];
  readonly seeds?: number | number[];
  readonly splits?: string[];
  readonly out?: string;
  readonly fresh?: boolean;
  readonly retryFailed?: boolean;
  readonly dryRun?: boolean;
  readonly set?: string[];
  readonly folder?: string;
  readonly junit?: string;
}

export function defineCompare(program: Command): void {
  const command = withThreshold(program.command('compare'), "a method's mean test score");
  withJson(withFolder(withSet(withJUnit(command, 'a suite a method'))))
    .description('compare methods on the same data, budget and seeds')
    .argument('[config]', 'configuration file', 'whetstone.yaml')
    .option('--methods <names>', 'which, as in manual,soft-q (default: all)', commaList)
    .option('--seeds <n or list>', 'a number of seeds, or the seeds: 5 or 1,2,3', seeds)
    .option('--splits <names>', 'values for {split} in the data paths', commaList)
    .option('--out <folder>', 'where the report goes')
    .option('--fresh', 'begin anew, whatever was done before')
    .option('--retry-failed', 'run cells again that failed')
    .option('--dry-run', 'say what it would ask for and cost, and send nothing')
    .action(runCompare);
}

async function runCompare(path: string, options: Options): Promise<void> {
  const [{ loadConfig }, { planOf }, { compare, comparisonFolder }, { openStore }, show] =
    await Promise.all([
      import('../../runs/config.ts'),
      import('../../runs/compare-plan.ts'),
      import('../../runs/compare.ts'),
      import('../../runs/store.ts'),
      import('../show-comparison.ts'),
    ]);
  const { region, signal, style, width, print, emit } = session();
  const loaded = await loadConfig(path, options);
  const plan = planOf(loaded, options);
  if (options.dryRun) {
    const { planComparison } = await import('../../runs/plan.ts');
    showPlan(await planComparison(plan));
    return;
  }
  const { checkJUnit, writeJUnit } = await import('../../runs/report/write-junit.ts');
  await checkJUnit(options.junit);
  const started = new Date();
  const store = await openStore();
  try {
    const onEvent = show.showComparison(session());
    const { fresh, retryFailed } = options;
    const compared = await compare(plan, { store, onEvent, signal, fresh, retryFailed });
    const [{ writeReport }, { comparisonLines }] = await Promise.all([
      import('../../runs/report/report.ts'),
      import('../render/compare-view.ts'),
    ]);
    const folder = options.out ?? comparisonFolder(store, compared.id);
    const { analysis, result } = await writeReport(compared, store, folder, {
      isPrivate: options.out === undefined,
    });
    region.close({ keep: false });
    const look = { style: style.out, width };
    for (const line of comparisonLines(compared, { analysis, result }, look)) print(line);
    emit(result);
    const { judgeRow } = await import('../../runs/threshold.ts');
    if (options.junit !== undefined) {
      const { comparisonSuites } = await import('../../runs/report/junit.ts');
      const verdicts = (row: (typeof result.rows)[number]) => judgeRow(row, options);
      await writeJUnit(options.junit, comparisonSuites(compared, result.rows, verdicts, started));
    }
    showThresholds(
      session(),
      result.rows.flatMap((row) => judgeRow(row, options)),
    );
    if (result.rows.every(({ test }) => test === null)) process.exitCode = 1;
  } finally {
    store.close();
  }
}

function commaList(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.every((name) => name !== '')) return names;
  throw new InvalidArgumentError('Expected names with commas between them.');
}

function seeds(text: string): number | number[] {
  const values = commaList(text).map(Number);
  const isWhole = values.every((value) => Number.isSafeInteger(value) && value >= 0);
  if (isWhole && values.length > 1) return values;
  if (isWhole && values[0]! >= 1 && values[0]! <= 1000) return values[0]!;
  throw new InvalidArgumentError(
    'Expected a number of seeds from 1 to 1000, or seeds as in 1,2,3.',
  );
}
