/** `whetstone serve`: an OpenAI-compatible endpoint that puts what a run found before the task LM. */
import { type Command, InvalidArgumentError } from 'commander';
import { visible } from '../../util/text.ts';
import { positiveNumber, wholeNumber, withJson } from '../options.ts';
import { session } from '../session.ts';

interface Options {
  readonly port: number;
  readonly host: string;
  readonly apiKey?: string;
  readonly queue: number;
  readonly timeout: number;
  readonly usd?: number;
  readonly logBodies?: boolean;
}

export function defineServe(program: Command): void {
  withJson(program.command('serve'))
    .description('answer as an OpenAI-compatible server, with what a run found before the task LM')
    .argument('<run>', 'its id, the beginning of it, or "last"')
    .option('--port <port>', 'the port; 0 takes any that is free', wholeNumber(0, 65_535), 8787)
    .option('--host <host>', 'the address; another than this machine needs --api-key', '127.0.0.1')
    .option('--api-key <reference>', 'the key that clients send, as env:NAME')
    .option('--queue <n>', 'questions that may wait; more are told 429', wholeNumber(0, 10_000), 64)
    .option('--timeout <seconds>', 'most that an answer may take', positiveNumber, 120)
    .option('--usd <dollars>', 'most money for a paid task LM (default: as the run)', dollars)
    .option('--log-bodies', 'what is asked and answered goes to the log, too')
    .action(runServe);
}

async function runServe(id: string, options: Options): Promise<void> {
  const [{ openStore }, { serve }, { readKey }, { redactor }, { showRun }] = await Promise.all([
    import('../../runs/store.ts'),
    import('../../server/openai/serve.ts'),
    import('../../providers/secrets.ts'),
    import('../../providers/secrets.ts'),
    import('../show.ts'),
  ]);
  const { region, signal, print, emit } = session();
  const key = options.apiKey === undefined ? undefined : readKey('serve', options.apiKey, { env: process.env, usual: [] }); // biome-ignore format: one call
  const clean = redactor(key);
  const store = await openStore();
  const run = (() => {
    try {
      return store.getRun(id);
    } finally {
      store.close();
    }
  })();
  const serving = await serve(run, {
    port: options.port,
    host: options.host,
    apiKey: key?.value,
    queue: options.queue,
    timeoutMs: 1000 * options.timeout,
    usd: options.usd,
    logBodies: options.logBodies === true,
    log: (record) => {
      const line = JSON.stringify({ time: new Date().toISOString(), ...record });
      process.stderr.write(`${visible(clean(line))}\n`);
    },
    onEvent: showRun(session()),
    signal,
  });
  region.close({ keep: false });
  const { url, baseUrl, model } = serving;
  print(`${baseUrl} answers as the model "${model}" with what run ${run.id} found; Ctrl-C ends it`);
  emit({ kind: 'serving', url, baseUrl, model, run: run.id });
  await aborted(signal);
  const served = await serving.close();
  emit({ kind: 'result', ...served });
  // Ctrl-C is how a server ends.
  process.exitCode = 0;
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}

function dollars(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1e6) return value;
  throw new InvalidArgumentError('Expected US dollars from 0.');
}
