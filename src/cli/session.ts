/**
 * One run of the command line: where output goes, signals, the end of the process.
 *
 * stdout carries results only: for people a text or table, with --json one JSON record a line.
 * Everything else is stderr: the live region, notes, warnings, errors.
 */
import { writeSync } from 'node:fs';
import { visible } from '../util/text.ts';
import { LiveRegion } from './render/live-region.ts';
import { createStyle, type Style, wantsColour } from './render/style.ts';

export interface Session {
  readonly isJson: boolean;
  /** Aborted by the first Ctrl-C: finish cleanly. */
  readonly signal: AbortSignal;
  /** Colours for stdout and for stderr. */
  readonly style: { readonly out: Style; readonly err: Style };
  readonly region: LiveRegion;
  /** Columns of stdout; nothing is cut where it is no terminal. */
  readonly width: number;
  /** With --json a line on stdout; otherwise nothing. */
  emit(record: object): void;
  /** For people a line on stdout; with --json nothing. */
  print(line: string): void;
  /** A line on stderr. */
  note(line: string): void;
  /** Reports a failure; gives the exit code back. */
  fail(exitCode: number, code: string, message: string): number;
  /** Flushes and ends the process. */
  end(exitCode: number): Promise<never>;
}

let current: Session | undefined;

/** The session of this process. */
export function session(): Session {
  if (current === undefined) throw new Error('no session is open');
  return current;
}

export function openSession({ isJson }: { isJson: boolean }): Session {
  const stop = new AbortController();
  const { stdout, stderr, env } = process;
  const region = new LiveRegion(stderr, stderr.isTTY === true && !isJson && env.TERM !== 'dumb');
  const style = {
    out: createStyle(wantsColour(stdout, env)),
    err: createStyle(wantsColour(stderr, env)),
  };
  quietOnClosedPipe();
  onSignals(stop, (line) => region.print(style.err.yellow(line)));
  current = {
    isJson,
    signal: stop.signal,
    style,
    region,
    width: stdout.columns ?? Number.POSITIVE_INFINITY,
    emit: (record) => {
      if (isJson) stdout.write(`${JSON.stringify(record)}\n`);
    },
    print: (line) => {
      if (!isJson) stdout.write(`${line}\n`);
    },
    note: (line) => region.print(line),
    fail(exitCode, code, message) {
      region.close();
      stderr.write(`${style.err.red('whetstone:')} ${visible(message)}\n`);
      if (isJson) stdout.write(`${JSON.stringify({ kind: 'error', code, message })}\n`);
      return exitCode;
    },
    async end(exitCode) {
      region.close();
      await Promise.all([flush(stdout), flush(stderr)]);
      process.exit(exitCode);
    },
  };
  return current;
}

/** A reader that went away, as in `whetstone runs list | head`, is no failure. */
function quietOnClosedPipe(): void {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      process.exit(error.code === 'EPIPE' ? 0 : 1);
    });
  }
}

/**
 * First signal: abort and let the work finish. Second: out at once, by the signal itself (130 to a
 * shell), since an ordinary exit waits for the engine's thread, which breaks when it is cut short.
 */
function onSignals(stop: AbortController, note: (line: string) => void): void {
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(name, () => {
      if (stop.signal.aborted) {
        restoreCursor();
        process.removeAllListeners('SIGINT');
        process.kill(process.pid, 'SIGINT');
        return;
      }
      stop.abort();
      note('stopping when what is in hand is done; press Ctrl-C again to stop at once');
    });
  }
}

function restoreCursor(): void {
  if (process.stderr.isTTY) writeSync(2, '\u001b[?25h\n');
}

function flush(stream: NodeJS.WriteStream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.destroyed || !stream.writable) resolve();
    else stream.write('', () => resolve());
  });
}
