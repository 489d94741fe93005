/** `whetstone schema`: the JSON Schema of whetstone.yaml, for editors. */
import type { Command } from 'commander';
import { withJson } from '../options.ts';
import { session } from '../session.ts';

export function defineSchema(program: Command): void {
  withJson(program.command('schema'))
    .description('print the JSON Schema of whetstone.yaml')
    .action(async () => {
      const { configJsonSchema } = await import('../../runs/config.ts');
      const { print, emit } = session();
      const schema = configJsonSchema();
      print(JSON.stringify(schema, undefined, 2));
      emit({ kind: 'result', schema });
    });
}
