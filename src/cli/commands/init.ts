/** `whetstone init`: a configuration and a small data file that run as they are. */
import { type Command, Option } from 'commander';
import { type TaskKindName, taskKindNames } from '../../tasks/kinds/index.ts';
import { withJson } from '../options.ts';
import { session } from '../session.ts';

interface Options {
  readonly force?: boolean;
  readonly kind: TaskKindName;
}

export function defineInit(program: Command): void {
  withJson(program.command('init'))
    .description('write whetstone.yaml and a data file to start from')
    .argument('[folder]', 'where to', '.')
    .addOption(
      new Option('--kind <kind>', 'of the task').choices(taskKindNames).default('sentiment'),
    )
    .option('--force', 'overwrite files that are there')
    .action(runInit);
}

async function runInit(folder: string, options: Options): Promise<void> {
  const [{ writeStarter }, { relative }] = await Promise.all([
    import('../starter.ts'),
    import('node:path'),
  ]);
  const files = await writeStarter(folder, {
    force: options.force === true,
    kind: options.kind,
  });
  const { print, emit } = session();
  for (const file of files) print(`wrote ${relative('.', file.path)}  ${file.about}`);
  print('');
  print(`next  put your own rows into ${relative('.', files[1]!.path)}, or change task.data, then`);
  print(`      npx whetstone optimize ${relative('.', files[0]!.path)}`);
  emit({ kind: 'result', files: files.map(({ path }) => path) });
}
