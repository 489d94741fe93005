/**
 * A run's result as an OpenAI-compatible endpoint. Until its models are open it answers 503; closing
 * finishes what is in hand.
 */
import { ConfigError } from '../../errors.ts';
import type { OnEvent } from '../../runs/events.ts';
import type { StoredRun } from '../../runs/store.ts';
import { securityHeaders } from '../guard.ts';
import { type Answer, isLoopback, listen } from '../listen.ts';
import { type LogRecord, openAiApp } from './app.ts';
import { openResponder, type Responder } from './responder.ts';

export interface ServeOptions {
  readonly port: number;
  /** @default 127.0.0.1 */
  readonly host?: string | undefined;
  /** Without one, nobody but this machine is answered. */
  readonly apiKey?: string | undefined;
  /** Questions that may wait. @default 64 */
  readonly queue?: number | undefined;
  /** @default 120_000 */
  readonly timeoutMs?: number | undefined;
  /** Time that a request may take to arrive. @default 60_000 */
  readonly requestMs?: number | undefined;
  readonly usd?: number | undefined;
  readonly log?: (record: LogRecord) => void;
  readonly logBodies?: boolean;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface Serving {
  readonly url: string;
  /** What an OpenAI client takes as its base address. */
  readonly baseUrl: string;
  readonly model: string;
  /** Takes nothing new, ends what is in hand, closes the models. */
  close(graceMs?: number): Promise<Served>;
}

export interface Served {
  readonly requests: number;
  readonly tokens: number;
}

/** The name under which every run's result can be asked for. */
export const MODEL = 'whetstone';

/**
 * @throws ConfigError when the port is taken, when other machines are let in without a key, or when
 * the run has no result
 */
export async function serve(run: StoredRun, options: ServeOptions): Promise<Serving> {
  const { host = '127.0.0.1', port, apiKey, log = () => {} } = options;
  if (!isLoopback(host) && apiKey === undefined) {
    throw new ConfigError(
      `--host ${host}: lets other machines in, which needs a key: --api-key env:NAME, with the key in that variable`,
    );
  }
  let answer: Answer = starting;
  // The port first: that it is taken shows before models are read.
  const listening = await listen(
    { host, port, requestMs: options.requestMs },
    () =>
      (...given) =>
        answer(...given),
  );
  let responder: Responder | undefined;
  try {
    responder = await openResponder(run, options);
    const { taskLm, close } = responder;
    const { app, metrics, drain } = openAiApp({
      responder,
      models: [MODEL, run.id],
      about: { run: run.id, method: run.method, task_lm: taskLm },
      apiKey,
      queue: options.queue ?? 64,
      timeoutMs: options.timeoutMs ?? 120_000,
      log,
      logBodies: options.logBodies ?? false,
    });
    answer = app.fetch;
    log({ event: 'listening', url: listening.url, run: run.id });
    return {
      url: listening.url,
      baseUrl: `${listening.url}/v1`,
      model: MODEL,
      async close(graceMs = 30_000) {
        drain();
        await listening.close(graceMs);
        await close();
        const requests = metrics.total('whetstone_requests_total');
        const tokens = metrics.total('whetstone_tokens_total');
        log({ event: 'stopped', requests, tokens });
        return { requests, tokens };
      },
    };
  } catch (error) {
    await listening.close(0);
    await responder?.close();
    throw error;
  }
}

/** While models are opened. */
function starting(): Response {
  const error = {
    message: 'the server is starting, ask again in a moment',
    type: 'server_error',
    param: null,
    code: 'starting',
  };
  const headers = { ...securityHeaders, 'retry-after': '1' };
  return Response.json({ status: 'starting', error }, { status: 503, headers });
}
