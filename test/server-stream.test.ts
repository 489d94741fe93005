/** Events as they are recorded: nothing lost or doubled, however clients come and go, and however many. */
import { request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RunEvent } from '../src/runs/events.ts';
import { openStore } from '../src/runs/store.ts';
import { type TestStudio, testStudio } from './support/studio-server.ts';

const RUN = { method: 'random', config: {}, seed: 1, versions: {}, hashes: {} };
const event = (message: string): RunEvent => ({ kind: 'warning', message });

let studio: TestStudio;
beforeAll(async () => {
  studio = await testStudio({
    streamLimits: { most: 20, pollMs: 20, heartbeatMs: 200, stalledMs: 500 },
  });
});
afterAll(() => studio.end());

interface Stream {
  readonly status: number;
  /** All that came so far. */
  readonly said: () => string;
  close(): void;
  pause(): void;
}

function open(
  path: string,
  headers: Record<string, string> = {},
  { port, cookie }: TestStudio = studio,
): Promise<Stream> {
  return new Promise((resolve, reject) => {
    const asked = request(
      {
        ...{ host: '127.0.0.1', port, path, agent: false },
        headers: { host: `127.0.0.1:${port}`, cookie, ...headers },
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (chunk) => {
          text += chunk;
        });
        response.on('error', () => {});
        resolve({
          status: response.statusCode!,
          said: () => text,
          close: () => asked.destroy(),
          pause: () => response.pause(),
        });
      },
    );
    asked.on('error', reject);
    asked.end();
  });
}

/** Numbers of the events that came whole. */
const seen = (said: string) =>
  said
    .split('\n\n')
    .slice(0, -1)
    .flatMap((frame) => /^id: (\d+)$/m.exec(frame)?.[1] ?? [])
    .map(Number);

async function until(what: () => boolean): Promise<void> {
  while (!what()) await sleep(10);
}

it('loses and doubles nothing while another writes and the client comes and goes', async () => {
  const N = 1500;
  const writer = await openStore(studio.home);
  const run = writer.createRun(RUN);
  const writing = (async () => {
    for (let i = 0; i < N; ) {
      const count = Math.min(N - i, 1 + (i % 7));
      writer.appendEvents(
        run,
        Array.from({ length: count }, (_, k) => event(`${i + k + 1}`)),
      );
      i += count;
      if (i % 5 === 0) await sleep(1);
    }
  })();
  const all: number[] = [];
  let visits = 0;
  for (; all.length < N; visits++) {
    const last = all.at(-1);
    const headers = last === undefined ? {} : { 'last-event-id': String(last) };
    const stream = await open(`/api/runs/${run}/stream?after=0`, headers as Record<string, string>);
    const wanted = 1 + ((visits * 37) % 211);
    await until(() => seen(stream.said()).length >= Math.min(wanted, N - all.length));
    const frames = stream.said();
    stream.close();
    all.push(...seen(frames));
    const texts = [...frames.matchAll(/^data: (\{.*\})$/gm)].map(([, data]) => JSON.parse(data!));
    for (const { seq, event } of texts) expect(event.message).toBe(String(seq));
  }
  await writing;
  expect(visits).toBeGreaterThan(5);
  expect(all).toEqual(Array.from({ length: N }, (_, i) => i + 1));
  writer.finishRun(run, { state: 'interrupted' });
  writer.close();
  await until(() => studio.store.getRun(run).state === 'interrupted');
});

it('tells the state, its change, and that it is still there', async () => {
  const run = studio.store.createRun(RUN);
  const stream = await open(`/api/runs/${run}/stream`);
  await until(() => stream.said().includes('event: state'));
  expect(stream.said()).toContain('event: state\ndata: "running"\n\n');
  await until(() => stream.said().includes(': still here'));
  studio.store.appendEvent(run, event('late'));
  studio.store.finishRun(run, { state: 'failed', error: 'x' });
  await until(() => stream.said().includes('"failed"'));
  expect(seen(stream.said())).toEqual([1]);
  expect(stream.said().indexOf('late')).toBeLessThan(stream.said().indexOf('"failed"'));
  stream.close();
});

it('refuses streams beyond its limit with a sentence, and serves the others', async () => {
  const run = studio.store.createRun(RUN);
  const streams = await Promise.all(
    Array.from({ length: 1000 }, () => open(`/api/runs/${run}/stream`)),
  );
  const open200 = streams.filter(({ status }) => status === 200);
  const refused = streams.filter(({ status }) => status === 503);
  expect([open200.length, refused.length]).toEqual([20, 980]);
  await until(() => refused.every(({ said }) => said().endsWith('}')));
  expect(JSON.parse(refused[0]!.said())).toMatchObject({
    code: 'refused',
    message: expect.stringContaining('20 event streams are open already'),
  });
  expect((await studio.ask('/api/runs')).status).toBe(200);
  studio.store.appendEvent(run, event('to all'));
  await until(() => open200.every(({ said }) => said().includes('to all')));
  for (const stream of streams) stream.close();
  // Places become free again.
  let again: Stream;
  do again = await open(`/api/runs/${run}/stream`);
  while (again.status !== 200);
  again.close();
});

it('lets a client go that takes nothing', async () => {
  const other = await testStudio({ streamLimits: { most: 1, pollMs: 20, stalledMs: 200 } });
  const run = other.store.createRun(RUN);
  other.store.appendEvents(
    run,
    Array.from({ length: 400 }, () => event('x'.repeat(50_000))),
  );
  const stalled = await open(`/api/runs/${run}/stream`, {}, other);
  stalled.pause();
  let again: Stream;
  do {
    await sleep(50);
    again = await open(`/api/runs/${run}/stream`, {}, other);
  } while (again.status !== 200);
  again.close();
  stalled.close();
  await other.end();
});
