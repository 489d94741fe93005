/** `whetstone optimize`: finds a prompt for the configured task. */
import type { Command } from 'commander';
import type { LoadedConfig } from '../../runs/config.ts';
import type { OptimizeResult } from '../../runs/events.ts';
import type { Thresholds } from '../../runs/threshold.ts';
import { withFolder, withJson, withJUnit, withSet, withThreshold } from '../options.ts';
import { session } from '../session.ts';
import { showPlan } from '../show-plan.ts';
import { showThresholds } from '../show-thresholds.ts';

interface Options extends Thresholds {
  readonly set?: string[];
  readonly folder?: string;
  readonly dryRun?: boolean;
  readonly junit?: string;
}

export function defineOptimize(program: Command): void {
  const command = withThreshold(program.command('optimize'), 'the test score');
  withJson(withFolder(withSet(withJUnit(command, 'a suite of the method'))))
    .description('find a prompt for the task in a configuration')
    .argument('[config]', 'configuration file', 'whetstone.yaml')
    .option('--dry-run', 'say what it would ask for and cost, and send nothing')
    .action(async (path: string, options: Options) => {
      const { loadConfig } = await import('../../runs/config.ts');
      const loaded = await loadConfig(path, options);
      if (options.dryRun) {
        const { planRun } = await import('../../runs/plan.ts');
        return showPlan(await planRun(loaded));
      }
      const { checkJUnit, writeJUnit } = await import('../../runs/report/write-junit.ts');
      await checkJUnit(options.junit);
      const started = new Date();
      const result = await runOptimize(loaded, (result) => [
        `npx whetstone evaluate ${path} ${wordsFor(result)} --split test`,
        'npx whetstone runs show last',
      ]);
      const { judge } = await import('../../runs/threshold.ts');
      const thresholds = judge(result.test, options);
      if (options.junit !== undefined) {
        const [{ runSuite }, { taskName }] = await Promise.all([
          import('../../runs/report/junit.ts'),
          import('../../tasks/split-files.ts'),
        ]);
        const task = taskName(loaded.config.task, loaded.folder);
        await writeJUnit(options.junit, [runSuite(task, result, thresholds, started)]);
      }
      showThresholds(session(), thresholds);
    });
}

/** Optimises, shows the run, records it, and prints the result; shared with the demo. */
export async function runOptimize(
  loaded: LoadedConfig,
  nextSteps: (result: OptimizeResult) => readonly string[],
  limits: { totalSeconds?: number | undefined } = {},
): Promise<OptimizeResult> {
  const { region, signal, ...out } = session();
  const [{ optimize }, { openStore }, { resultLines }, { showRun }] = await Promise.all([
    import('../../runs/optimize.ts'),
    import('../../runs/store.ts'),
    import('../render/run-view.ts'),
    import('../show.ts'),
  ]);
  const store = await openStore();
  try {
    const result = await optimize(loaded, {
      onEvent: showRun(session()),
      signal,
      store,
      ...limits,
    });
    region.close();
    const { style, width } = out;
    const next = nextSteps(result);
    for (const line of resultLines(result, { style: style.out, width, next })) out.print(line);
    out.emit(result);
    return result;
  } finally {
    store.close();
  }
}

/** Options of `evaluate` that name what was found. */
function wordsFor({ kindOfResult, prompt, template }: OptimizeResult): string {
  if (kindOfResult !== 'text') return '--run last';
  const text = `--prompt ${shellQuote(prompt)}`;
  if (template === undefined) return text;
  return `--set ${shellQuote(`task.template=${JSON.stringify(template)}`)} ${text}`;
}

/** The text as one word of a POSIX shell. */
export function shellQuote(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
