/** `whetstone inspect`: the nature of a prompt. */
import { type Command, InvalidArgumentError } from 'commander';
import { positiveNumber, wholeNumber, withJson, withSet } from '../options.ts';
import { session } from '../session.ts';

interface Options {
  readonly models?: string[];
  readonly maxPerplexity?: number;
  readonly maxExamples?: number;
  readonly set?: string[];
}

export function defineInspect(program: Command): void {
  withJson(withSet(program.command('inspect')))
    .description('the nature of a prompt: likelihood, tokens, order, a fluent rewrite, transfer')
    .argument('<prompt>', 'the prompt, as it goes into the template')
    .argument('[config]', 'configuration file', 'whetstone.yaml')
    .option('--models <a,b,c>', 'other task LMs to score it under: names or paths', modelNames)
    .option(
      '--max-perplexity <p>',
      "most perplexity of a fluent rewrite; the configuration's, else the human prompts' median",
      positiveNumber,
    )
    .option(
      '--max-examples <n>',
      'most train and validation examples to score on (default 500)',
      wholeNumber(2, 1_000_000),
    )
    .action(runInspect);
}

function modelNames(text: string): string[] {
  const names = text.split(',').map((name) => name.trim());
  if (names.some((name) => name === '')) {
    throw new InvalidArgumentError('Expected names or paths with commas between them.');
  }
  return names;
}

async function runInspect(prompt: string, path: string, options: Options): Promise<void> {
  const { region, signal, style, width, print, emit } = session();
  const [{ loadConfig }, { inspect }, { inspectLines }, { showRun }] = await Promise.all([
    import('../../runs/config.ts'),
    import('../../runs/inspect/inspect.ts'),
    import('../render/inspect-view.ts'),
    import('../show.ts'),
  ]);
  const loaded = await loadConfig(path, { set: options.set });
  const onEvent = showRun(session());
  const result = await inspect(loaded, { ...options, prompt, onEvent, signal });
  region.close({ keep: false });
  for (const line of inspectLines(result, { style: style.out, width })) print(line);
  emit(result);
}
