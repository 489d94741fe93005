/**
 * The studio: a web page over the store of runs, for the person at this machine. It reads what any
 * process writes there, and starts work as processes of the command line, so that a crash of the studio
 * takes no run with it and a run from the command line is the same thing.
 */
import { dirname, join } from 'node:path';
import { Hono } from 'hono';
import type { RunStore } from '../runs/store.ts';
import { packageRoot } from '../util/package-root.ts';
import { type Benches, type BenchLimits, createBenches } from './benches.ts';
import { type Children, createChildren } from './children.ts';
import { onError, onNotFound } from './failures.ts';
import { guard } from './guard.ts';
import { createLaunch, LAUNCH_PATH } from './launch.ts';
import { type Listening, type ListenOptions, listen } from './listen.ts';
import { createRedact, type Redact } from './redact.ts';
import { register } from './route.ts';
import { type Analyses, createAnalyses } from './routes/comparisons.ts';
import { routes } from './routes/index.ts';
import { staticFiles } from './static.ts';
import { createStreams, type StreamLimits, type Streams } from './stream.ts';

export interface StudioOptions extends ListenOptions {
  readonly store: RunStore;
  /** Paths in configurations that are typed in are relative to it. */
  readonly folder: string;
  /** The command line, by which work is started. */
  readonly command: readonly string[];
  /** A configuration to start with, as YAML. */
  readonly example: string;
  readonly streamLimits?: StreamLimits;
  readonly benchLimits?: BenchLimits;
  /** Of the built page. @default dist/studio of this package */
  readonly pageFolder?: string;
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/** What the routes work with. */
export interface Studio {
  readonly store: RunStore;
  readonly folder: string;
  readonly example: string;
  readonly redact: Redact;
  readonly streams: Streams;
  readonly children: Children;
  readonly benches: Benches;
  readonly analyses: Analyses;
  readonly env: Readonly<Record<string, string | undefined>>;
}

export interface OpenStudio extends Listening {
  /** Good for one visit. */
  readonly launchUrl: string;
}

/** @throws ConfigError when the port cannot be opened */
export async function openStudio(options: StudioOptions): Promise<OpenStudio> {
  const { store, folder, example, env = process.env } = options;
  const redact = createRedact(env);
  const streams = createStreams(store, redact, options.streamLimits);
  const children = createChildren({
    command: options.command,
    folder: join(dirname(store.path), 'studio'),
    cwd: folder,
    env,
  });
  const benches = createBenches(options.benchLimits);
  const analyses = createAnalyses();
  const studio: Studio = {
    ...{ store, folder, example, env },
    ...{ redact, streams, children, benches, analyses },
  };
  let token = '';
  const listening = await listen(options, ({ port }) => {
    const launch = createLaunch(port);
    token = launch.token;
    const app = createApp(studio, launch, options.pageFolder);
    return (request, bindings) => app.fetch(request, bindings);
  });
  return {
    ...listening,
    launchUrl: `${listening.url}${LAUNCH_PATH}?token=${token}`,
    async close(graceMs) {
      streams.close();
      await listening.close(graceMs);
      await benches.close();
    },
  };
}

function createApp(
  studio: Studio,
  launch: ReturnType<typeof createLaunch>,
  pageFolder = join(packageRoot(), 'dist', 'studio'),
): Hono {
  const app = new Hono();
  const page = staticFiles(pageFolder);
  app.onError(onError(studio.redact));
  app.notFound(onNotFound);
  app.use(guard({ isOpen: (path) => !path.startsWith('/api/') }) as never);
  app.get(LAUNCH_PATH, launch.answer);
  app.use(launch.require);
  register(app, routes, studio);
  app.get('*', async (c, next) => {
    const file = c.req.path.startsWith('/api/') ? undefined : await page.answer(c);
    return file ?? next();
  });
  return app;
}
