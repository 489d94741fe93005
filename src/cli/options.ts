/** Options that several commands share. */
import { type Command, InvalidArgumentError } from 'commander';

/** Adds --json. What it does is decided by the session. */
export function withJson(command: Command): Command {
  return command.option('--json', 'JSON Lines on stdout, the last one the result');
}

/** Adds --set, which may be given many times. */
export function withSet(command: Command): Command {
  return command.option(
    '--set <key=value>',
    'override the configuration, as in budget.minutes=2 (repeatable)',
    (value: string, before: string[] = []) => [...before, value],
  );
}

/** Adds --folder: where the paths of a configuration begin. */
export function withFolder(command: Command): Command {
  return command.option(
    '--folder <folder>',
    "paths in the configuration are relative to it (default: the configuration's own folder)",
  );
}

/** Parses a whole number within bounds. */
export function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (text.trim() !== '' && Number.isInteger(value) && value >= low && value <= high) {
      return value;
    }
    throw new InvalidArgumentError(`Expected a whole number from ${low} to ${high}.`);
  };
}

/** Parses a number above zero. */
export function positiveNumber(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && Number.isFinite(value) && value > 0) return value;
  throw new InvalidArgumentError('Expected a number above 0.');
}

/** Parses a share. */
export function share(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('Expected a share from 0 to 1, as in 0.8.');
}

/** Adds --junit: what was found, for CI systems. */
export function withJUnit(command: Command, cases: string): Command {
  return command.option('--junit <file>', `also as JUnit XML, ${cases}, for CI systems`);
}

/** Adds --threshold and --threshold-low: what a score must reach, else the exit code is 3. */
export function withThreshold(command: Command, score: string): Command {
  return command
    .option('--threshold <share>', `exit code 3 where ${score} is below it`, share)
    .option('--threshold-low <share>', "the same for the lower end of the score's interval", share);
}
