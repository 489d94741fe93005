/** `whetstone init`: a configuration and a small data file that run as they are. */
import type { Command } from 'commander';
import { withJson } from '../options.ts';
import { session } from '../session.ts';

interface Options {
  readonly force?: boolean;
}

export function defineInit(program: Command): void {
  withJson(program.command('init'))
    .description('write whetstone.yaml and reviews.csv to start from')
    .argument('[folder]', 'where to', '.')
    .option('--force', 'overwrite files that are there')
    .action(runInit);
}

async function runInit(folder: string, options: Options): Promise<void> {
  const [{ writeStarter }, { relative }] = await Promise.all([
    import('../starter.ts'),
    import('node:path'),
  ]);
  const files = await writeStarter(folder, { force: options.force === true });
  const { print, emit } = session();
  for (const file of files) print(`wrote ${relative('.', file.path)}  ${file.about}`);
  print('');
  print('next  put your own rows into reviews.csv, or change task.data, then');
  print(`      npx whetstone optimize ${relative('.', files[0]!.path)}`);
  emit({ kind: 'result', files: files.map(({ path }) => path) });
}
