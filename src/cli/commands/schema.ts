/** `whetstone schema`: the JSON Schema of whetstone.yaml, for editors. */
import type { Command } from 'commander';

export function defineSchema(program: Command): void {
  program
    .command('schema')
    .description('print the JSON Schema of whetstone.yaml')
    .action(async () => {
      const { configJsonSchema } = await import('../../runs/config.ts');
      process.stdout.write(`${JSON.stringify(configJsonSchema(), undefined, 2)}\n`);
    });
}
