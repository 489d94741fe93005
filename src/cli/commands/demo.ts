/** `whetstone demo`: the whole loop on bundled data with the default model. */
import type { Command } from 'commander';
import { positiveNumber, withJson, withSet } from '../options.ts';
import { session } from '../session.ts';
import { runOptimize } from './optimize.ts';

interface Options {
  readonly minutes: number;
  readonly set?: string[];
}

/** Minutes of search, where the machine is fast enough for it. */
const MINUTES = 3;
/** What all of it may take, once the model is there: a slow machine searches for less. */
const TOTAL_SECONDS = 285;

export function defineDemo(program: Command): void {
  withJson(withSet(program.command('demo')))
    .description('see the loop at work on bundled data, in at most five minutes')
    .option('--minutes <n>', 'minutes of search', positiveNumber, MINUTES)
    .action(async (options: Options) => {
      const [{ demoTaskConfig }, { parseConfig }, { packageRoot }] = await Promise.all([
        import('../../tasks/demo.ts'),
        import('../../runs/config.ts'),
        import('../../util/package-root.ts'),
      ]);
      const text = JSON.stringify({
        task: demoTaskConfig(),
        budget: { minutes: options.minutes },
      });
      const config = parseConfig(text, { label: 'demo', set: options.set });
      const { note, style } = session();
      if (!session().isJson) {
        note(style.err.bold('A policy LM writes prompts, a task LM answers, the reward teaches.'));
      }
      const folder = packageRoot();
      const next = () => [
        'npx whetstone init    a configuration and data of your own to start from',
        'npx whetstone runs show last',
      ];
      // Who asks for a longer search gets it.
      const totalSeconds = options.minutes > MINUTES ? undefined : TOTAL_SECONDS;
      await runOptimize({ config, path: 'demo', folder }, next, { totalSeconds });
    });
}
