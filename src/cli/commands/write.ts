/** `whetstone write` and `whetstone answer`: what a trained policy does with a new context. */
import type { Command } from 'commander';
import { visible } from '../../util/text.ts';
import { withJson } from '../options.ts';
import { session } from '../session.ts';

interface Options {
  readonly run: string;
  readonly context: string;
  readonly input?: string;
}

const CONTEXT =
  'JSON: a list of {"role", "content"}, or an object with conversation, question and input';

export function defineWrite(program: Command): void {
  withJson(program.command('write'))
    .description('write the prompt for a context by the policy that a run trained')
    .requiredOption('--run <id>', 'a run of the method grpo: its id, the start of it, or "last"')
    .requiredOption('--context <file>', CONTEXT)
    .action((options: Options) => run('write', options));
  withJson(program.command('answer'))
    .description('write the prompt for a context and let the task LM answer with it')
    .requiredOption('--run <id>', 'a run of the method grpo: its id, the start of it, or "last"')
    .requiredOption('--context <file>', CONTEXT)
    .option('--input <text>', 'what the task LM is asked about; else "input" of the context')
    .action((options: Options) => run('answer', options));
}

async function run(what: 'write' | 'answer', options: Options): Promise<void> {
  const [{ openStore }, runs] = await Promise.all([
    import('../../runs/store.ts'),
    import('../../runs/write.ts'),
  ]);
  const { signal, emit, print, note, style, isJson } = session();
  const store = await openStore();
  try {
    const stored = store.getRun(options.run);
    const given = await runs.readContext(options.context);
    const context = options.input === undefined ? given : { ...given, input: options.input };
    const result = await runs[what]({ run: stored, context, signal });
    if (!isJson) note(style.err.dim(`the policy read: ${result.reads.join(', ')}`));
    print(visible(result.prompt));
    if (result.answer !== undefined) {
      const share = result.shares?.[result.answer];
      const of = share === undefined ? '' : ` (${Math.round(100 * share)}% of the label words)`;
      print(`${style.out.bold(visible(result.answer))}${of}`);
    }
    emit(result);
  } finally {
    store.close();
  }
}
