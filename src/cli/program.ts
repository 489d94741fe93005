/** All commands put together, and what happens to whatever they throw. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command, CommanderError } from 'commander';
import { exitCodeOf, isAbort, WhetstoneError } from '../errors.ts';
import { packageRoot } from '../util/package-root.ts';
import { defineCompare } from './commands/compare.ts';
import { defineDemo } from './commands/demo.ts';
import { defineDoctor } from './commands/doctor.ts';
import { defineEvaluate } from './commands/evaluate.ts';
import { defineExport } from './commands/export.ts';
import { defineInit } from './commands/init.ts';
import { defineInspect } from './commands/inspect.ts';
import { defineLabelWords } from './commands/label-words.ts';
import { defineModels } from './commands/models.ts';
import { defineOptimize } from './commands/optimize.ts';
import { defineRuns } from './commands/runs.ts';
import { defineSchema } from './commands/schema.ts';
import { defineServe } from './commands/serve.ts';
import { defineStudio } from './commands/studio.ts';
import { defineWrite } from './commands/write.ts';
import { openSession } from './session.ts';

const AFTER_HELP = `
Start with:
  whetstone demo                          see the loop at work, in five minutes
  whetstone init && whetstone optimize    the same on your own data
  whetstone studio                        watch and judge runs in a web page

With --json a command writes JSON Lines to stdout, the last one {"kind":"result", ...}
("plan" with --dry-run, "error" where it fails).
Exit codes: 0 done, 1 failed, 2 wrong usage or configuration, 3 a threshold was not reached, 130 interrupted.
WHETSTONE_HOME is the folder of runs and models, WHETSTONE_MODELS that of models alone.`;

/** Runs one command line and ends the process with its exit code. */
export async function runCli(argv: readonly string[]): Promise<never> {
  const session = openSession({ isJson: wantsJson(argv) });
  let code = 0;
  const program = createProgram();
  endOnStrays((error) => session.end(session.fail(...describeFailure(error, ''))));
  try {
    if (argv.length <= 2) program.outputHelp();
    else await program.parseAsync([...argv]);
    // A command that ends by Ctrl-C, as it should, says so.
    code = Number(process.exitCode ?? (session.signal.aborted ? 130 : 0));
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) code = 0;
    else code = session.fail(...describeFailure(error, helpOf(program, argv)));
  }
  return session.end(code);
}

/** What happens outside of the command's own promise: nearly always in a metric of one's own. */
function endOnStrays(end: (error: Error) => Promise<never>): void {
  const onStray = (error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    const sentence = `something threw outside of what the run waits for: ${message}; a metric of your own must await all that it begins`;
    void end(new WhetstoneError(sentence, { cause: error }));
  };
  process.on('uncaughtException', onStray);
  process.on('unhandledRejection', onStray);
  // Nothing is left to do, and the command is not done.
  process.on('beforeExit', () => {
    const sentence =
      'the run waits for a promise that nothing will settle, nearly always of a metric of your own; let it resolve or reject';
    void end(new WhetstoneError(sentence));
  });
}

function createProgram(): Command {
  const program = new Command('whetstone')
    .description('Finds better prompts by reinforcement learning.')
    .version(packageVersion(), '-v, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .addHelpText('after', AFTER_HELP)
    .showSuggestionAfterError()
    .exitOverride()
    .configureOutput({ outputError: () => {} });
  defineDemo(program);
  defineInit(program);
  defineOptimize(program);
  defineCompare(program);
  defineEvaluate(program);
  defineInspect(program);
  defineLabelWords(program);
  defineWrite(program);
  defineExport(program);
  defineServe(program);
  defineModels(program);
  defineRuns(program);
  defineStudio(program);
  defineDoctor(program);
  defineSchema(program);
  return program;
}

function wantsJson(argv: readonly string[]): boolean {
  const end = argv.indexOf('--');
  return (end < 0 ? argv : argv.slice(0, end)).includes('--json');
}

/** "whetstone runs list --help": the help of the command that a command line names, as far as it names one. */
function helpOf(program: Command, argv: readonly string[]): string {
  let [command, names] = [program, program.name()];
  for (const word of argv.slice(2)) {
    const next = command.commands.find((each) => each.name() === word);
    if (!next) break;
    [command, names] = [next, `${names} ${word}`];
  }
  return `${names} --help`;
}

/** Exit code, stable code and sentence of anything that was thrown. */
function describeFailure(
  error: unknown,
  help: string,
): [exitCode: number, code: string, message: string] {
  if (error instanceof CommanderError) {
    const message = error.message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
    return [2, 'usage', `${message.trim().replace(/\.$/, '')}; see "${help}"`];
  }
  if (isAbort(error)) return [130, 'interrupted', 'interrupted'];
  if (error instanceof WhetstoneError) return [exitCodeOf(error), error.code, error.message];
  if (process.env.WHETSTONE_DEBUG) process.stderr.write(`${(error as Error)?.stack ?? error}\n`);
  const message = error instanceof Error ? error.message : String(error);
  return [1, 'internal', `internal error: ${message} (WHETSTONE_DEBUG=1 shows where)`];
}

/** Version of the installed package. */
export function packageVersion(): string {
  const text = readFileSync(join(packageRoot(), 'package.json'), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
