/** Runs as they lie in the store: a list, one of them, its series, log, prompts and stream. */
import { z } from 'zod';
import type { StoredRun } from '../../runs/store.ts';
import {
  logEntry,
  pageOf,
  promptRow,
  runDetail,
  runState,
  runSummary,
  series,
} from '../answers.ts';
import { notFound } from '../failures.ts';
import { route, whole } from '../route.ts';
import { detailOf, promptRowOf, summaryOf } from '../run-view.ts';
import { toLogEntry } from '../stream.ts';
import type { Studio } from '../studio.ts';

/** @throws RequestFailure 404 */
export function runOf({ store }: Studio, id: string): StoredRun {
  const run = store.queries.findRun(id);
  if (!run) throw notFound(`run ${id}`);
  return run;
}

const listRuns = route({
  method: 'get',
  path: '/api/runs',
  summary: 'Runs, newest first; the next page begins after the run `before`',
  query: z.strictObject({ limit: whole(1, 200, 50), before: z.string().max(64).optional() }),
  answer: pageOf(runSummary),
  handle({ query: { limit, before } }, { store: { queries } }) {
    const runs = queries.listRuns({ limit, before });
    const items = runs.map((run) => summaryOf(queries, run));
    const next = runs.length === limit ? { next: runs.at(-1)!.id } : {};
    return { items, total: queries.countRuns(), ...next };
  },
});

const showRun = route({
  method: 'get',
  path: '/api/runs/:id',
  summary: 'One run: configuration, state, lineage, result',
  answer: runDetail,
  handle: ({ params }, studio) => detailOf(studio.store.queries, runOf(studio, params.id!)),
});

const showSeries = route({
  method: 'get',
  path: '/api/runs/:id/series',
  summary: 'What was measured over steps, at most so many points of each measure; peaks are kept',
  query: z.strictObject({ points: whole(4, 5000, 1000) }),
  answer: series,
  handle: ({ params, query }, studio) =>
    studio.store.queries.series(runOf(studio, params.id!).id, query.points),
});

const showLog = route({
  method: 'get',
  path: '/api/runs/:id/log',
  summary: 'Events after a sequence number, oldest first; kinds as in step,warning',
  query: z.strictObject({
    after: whole(0, Number.MAX_SAFE_INTEGER, 0),
    limit: whole(1, 1000, 200),
    kinds: z
      .string()
      .regex(/^[a-z]+(,[a-z]+){0,9}$/, 'expected names with commas between them')
      .optional(),
  }),
  answer: pageOf(logEntry),
  handle({ params, query: { after, limit, kinds } }, studio) {
    const { id } = runOf(studio, params.id!);
    const events = studio.store.queries.events(id, { after, limit, kinds: kinds?.split(',') });
    const next = events.length === limit ? { next: String(events.at(-1)!.seq) } : {};
    return { items: events.map(toLogEntry), ...next };
  },
});

const streamRun = route({
  method: 'get',
  path: '/api/runs/:id/stream',
  summary: 'Events as they are recorded; Last-Event-ID or `after` says where to go on',
  query: z.strictObject({ after: whole(0, Number.MAX_SAFE_INTEGER, 0) }),
  answer: { events: { run: logEntry, state: runState } },
  handle({ params, query, header, ...client }, studio) {
    const { id } = runOf(studio, params.id!);
    const last = Number(header('last-event-id'));
    const after = Number.isSafeInteger(last) && last > 0 ? last : query.after;
    return studio.streams.open(id, after, client);
  },
});

const showPrompts = route({
  method: 'get',
  path: '/api/runs/:id/prompts',
  summary: 'Prompts that were kept, best reward first',
  query: z.strictObject({ limit: whole(1, 500, 50), offset: whole(0, 10_000_000, 0) }),
  answer: pageOf(promptRow),
  handle({ params, query }, studio) {
    const { id } = runOf(studio, params.id!);
    const { queries } = studio.store;
    const total = queries.countPrompts(id);
    const items = queries.prompts(id, query).map(promptRowOf);
    const end = query.offset + items.length;
    return { items, total, ...(end < total ? { next: String(end) } : {}) };
  },
});

export const runRoutes = [listRuns, showRun, showSeries, showLog, streamRun, showPrompts];
