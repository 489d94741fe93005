/** A studio on a free port over a store of its own, and a client that has come in by the launch address. */
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openStore, type RunStore } from '../../src/runs/store.ts';
import { type OpenStudio, openStudio, type StudioOptions } from '../../src/server/studio.ts';
import { packageRoot } from '../../src/util/package-root.ts';

export interface TestStudio extends OpenStudio {
  readonly store: RunStore;
  /** Where the studio was started: configurations' paths begin here. */
  readonly folder: string;
  readonly home: string;
  readonly cookie: string;
  /** A request with the cookie; a body is sent as JSON. */
  ask(
    path: string,
    options?: { method?: string; body?: unknown; headers?: Record<string, string> },
  ): Promise<Response>;
  /** The answer's JSON; fails for a status that is no success. */
  get<T>(path: string): Promise<T>;
  post<T>(path: string, body: unknown): Promise<T>;
  end(): Promise<void>;
}

export async function testStudio(options: Partial<StudioOptions> = {}): Promise<TestStudio> {
  const folder = options.folder ?? (await mkdtemp(join(tmpdir(), 'whetstone-studio-')));
  const home = join(folder, 'home');
  const store = await openStore(home);
  const env = { ...process.env, WHETSTONE_HOME: home, NO_COLOR: '1', ...options.env };
  const studio = await openStudio({
    port: 0,
    store,
    command: [process.execPath, join(packageRoot(), 'dist', 'src', 'cli', 'main.js')],
    example: 'task: { data: rows.csv }\n',
    ...options,
    folder,
    env,
  });
  const visit = await fetch(studio.launchUrl, { redirect: 'manual' });
  const cookie = visit.headers.get('set-cookie')!.split(';')[0]!;
  const ask: TestStudio['ask'] = (path, { method = 'GET', body, headers } = {}) =>
    fetch(studio.url + path, {
      method,
      headers: {
        cookie,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  const answered = async (response: Response) => {
    const text = await response.text();
    if (!response.ok) throw new Error(`${response.status} ${text}`);
    return JSON.parse(text);
  };
  return {
    ...studio,
    store,
    folder,
    home,
    cookie,
    ask,
    get: async (path) => answered(await ask(path)),
    post: async (path, body) => answered(await ask(path, { method: 'POST', body })),
    async end() {
      await studio.close(0);
      store.close();
    },
  };
}
