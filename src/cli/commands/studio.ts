/** `whetstone studio`: a local web page to watch runs, judge them and start new ones. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Command } from 'commander';
import { ConfigError } from '../../errors.ts';
import type { OpenStudio, StudioOptions } from '../../server/studio.ts';
import { wholeNumber, withJson } from '../options.ts';
import { session } from '../session.ts';

interface Options {
  readonly port?: number;
  readonly host?: string | true;
  readonly open: boolean;
}

/** Where it is looked for first; without --port another is taken where this one is in use. */
const USUAL_PORT = 4747;

export function defineStudio(program: Command): void {
  withJson(program.command('studio'))
    .description('watch runs, judge them and start new ones in a local web page')
    .option(
      '--port <n>',
      `port; 0 is any that is free (default: ${USUAL_PORT})`,
      wholeNumber(0, 65_535),
    )
    .option('--host [address]', 'let other machines in, too: at this address, or at all')
    .option('--no-open', 'print the launch address and open no browser')
    .action(runStudio);
}

async function runStudio(options: Options): Promise<void> {
  const [{ openStore }, { openStudio }, { isLoopback }, { starterExample }] = await Promise.all([
    import('../../runs/store.ts'),
    import('../../server/studio.ts'),
    import('../../server/listen.ts'),
    import('../starter.ts'),
  ]);
  const { signal, print, emit, note, style } = session();
  const host = options.host === true ? '0.0.0.0' : (options.host ?? '127.0.0.1');
  const store = await openStore();
  try {
    const studio = await openAt(options.port, (port) =>
      openStudio({
        port,
        host,
        store,
        folder: process.cwd(),
        command: commandLine(),
        example: starterExample(),
      }),
    );
    if (!isLoopback(host)) {
      note(
        style.err.yellow(
          `whoever reaches ${studio.host}:${studio.port} can read what is sent, the launch address too: there is no encryption`,
        ),
      );
    }
    print(`the studio is at ${studio.launchUrl} (good for one visit; Ctrl-C ends it)`);
    emit({ kind: 'result', url: studio.launchUrl, host: studio.host, port: studio.port });
    if (options.open) openBrowser(studio.launchUrl);
    if (!signal.aborted) await once(signal, 'abort');
    await studio.close();
  } finally {
    store.close();
  }
}

async function openAt(
  port: number | undefined,
  open: (port: number) => Promise<OpenStudio>,
): Promise<OpenStudio> {
  try {
    return await open(port ?? USUAL_PORT);
  } catch (error) {
    if (port === undefined && error instanceof ConfigError) return open(0);
    throw error;
  }
}

/** How this process was started, so that children are the same program. */
function commandLine(): StudioOptions['command'] {
  return [process.execPath, ...process.execArgv, process.argv[1]!];
}

/** Whoever has no browser here has the printed address. */
function openBrowser(url: string): void {
  const [program, ...args] = {
    darwin: ['open', url],
    win32: ['rundll32', 'url.dll,FileProtocolHandler', url],
  }[process.platform as string] ?? ['xdg-open', url];
  const child = spawn(program!, args, { stdio: 'ignore', detached: true });
  child.on('error', () => {});
  child.unref();
}
