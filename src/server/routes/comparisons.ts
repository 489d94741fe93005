/** Comparisons: a list, one with its table, curves and verdict, and a new one. */
import { type Method, methods } from '../../methods/index.ts';
import { analyse } from '../../runs/compare-analysis.ts';
import { type Plan, planOf } from '../../runs/compare-plan.ts';
import type { StoredCell, StoredComparison } from '../../runs/comparison-table.ts';
import type { StoredPlan } from '../../runs/earlier-cells.ts';
import { meanCurve } from '../../runs/report/charts.ts';
import type { RunStore } from '../../runs/store.ts';
import type { RunQueries } from '../../runs/store-queries.ts';
import { taskName } from '../../tasks/split-files.ts';
import { comparisonDetail, comparisonSummary, newComparison, pageOf, started } from '../answers.ts';
import type * as contract from '../contract.ts';
import { notFound } from '../failures.ts';
import { configOf } from '../own-code.ts';
import { route } from '../route.ts';
import { defined, taskOf } from '../run-view.ts';

const MAX_LISTED = 200;
/** Steps of a run that its curve is drawn from. */
const CURVE_POINTS = 200;

const listComparisons = route({
  method: 'get',
  path: '/api/comparisons',
  summary: 'Comparisons, newest first',
  answer: pageOf(comparisonSummary),
  handle(_, { store }) {
    const all = store.comparisons.list();
    const items = all.slice(0, MAX_LISTED).map((one) => summaryOf(store, one));
    return { items, total: all.length };
  },
});

const showComparison = route({
  method: 'get',
  path: '/api/comparisons/:id',
  summary: 'One comparison: methods, differences, curves, verdict, cells',
  answer: comparisonDetail,
  handle({ params }, { store, analyses }) {
    const stored = store.comparisons.list().find(({ id }) => id === params.id);
    if (!stored) throw notFound(`comparison ${params.id}`);
    const cells = store.comparisons.cells(stored.id);
    const analysis = analyses.of(stored, cells);
    const cellsOf = (name: string) => cells.filter(({ method }) => method === name);
    const prompts = (name: string) =>
      cellsOf(name).flatMap(({ outcome }) => (outcome ? [outcome.found.prompt] : []));
    return {
      ...summaryOf(store, stored),
      // Of methods that nothing came of yet, the cells tell.
      rows: analysis.rows.flatMap(({ method, kindOfResult, ...row }) =>
        row.test && row.validation !== null && row.evaluations !== null && row.seconds !== null
          ? [
              {
                method,
                kindOfResult,
                test: row.test,
                validation: row.validation,
                evaluations: row.evaluations,
                seconds: row.seconds,
                usd: row.usd,
                prompts: prompts(method),
              },
            ]
          : [],
      ),
      pairs: analysis.pairs.map(({ a, b, difference, interval, p, pAdjusted }) => ({
        a,
        b,
        difference,
        interval,
        p,
        pAdjusted,
      })),
      curves: planOfStored(stored).methods.map(({ name }) => ({
        method: name,
        points: curveOf(store.queries, cellsOf(name)),
      })),
      verdict: analysis.verdict,
      cells: cells.map(({ method, repetition, state, run, error }) =>
        defined({ method, repetition, state, run, error }),
      ),
    };
  },
});

const startComparison = route({
  method: 'post',
  path: '/api/comparisons',
  summary: 'Starts a comparison in a process of its own',
  body: newComparison,
  answer: started,
  status: 201,
  async handle({ body: { yaml, methods: names, seeds } }, studio) {
    const { queries, comparisons } = studio.store;
    // What cannot be asked is refused before a process starts.
    const { question } = planOf(configOf(studio, yaml), { methods: names, seeds });
    const path = await studio.children.keep(yaml);
    const args = ['compare', path, '--folder', studio.folder, '--seeds', String(seeds)];
    const id = await studio.children.start(
      [...args, '--methods', names.join(',')],
      ({ pid, since, code }) =>
        queries.comparisonOfProcess(pid, since) ??
        // One of which every cell is there already begins no run.
        (code === 0 ? comparisons.find(question)[0]?.id : undefined),
    );
    return { id };
  },
});

export const comparisonRoutes = [listComparisons, showComparison, startComparison];

function summaryOf(store: RunStore, stored: StoredComparison): contract.ComparisonSummary {
  const plan = planOfStored(stored);
  const counts = store.queries.countCells(stored.id);
  const run = store.comparisons.cells(stored.id).find((cell) => cell.run !== undefined)?.run;
  return {
    id: stored.id,
    started: stored.started.toISOString(),
    // A plan does not know in which folder its data lie, its runs do.
    task:
      run === undefined
        ? taskName(plan.config.task, '.')
        : taskOf(store.queries, store.queries.findRun(run)!),
    methods: plan.methods.map(({ name }) => name),
    repetitions: plan.repetitions.length,
    done: (counts.done ?? 0) + (counts.untested ?? 0),
    failed: counts.failed ?? 0,
    total: plan.methods.length * plan.repetitions.length,
  };
}

function planOfStored({ plan }: StoredComparison): StoredPlan {
  return plan as StoredPlan;
}

/** Best reward so far against evaluations, mean over the cells that came to an end. */
function curveOf(queries: RunQueries, cells: readonly StoredCell[]) {
  const curves = cells
    .filter(({ state, run }) => state === 'done' && run !== undefined)
    .map(({ run }) =>
      queries
        .steps(run!, CURVE_POINTS)
        .filter(
          ({ bestReward, bestPrompt, episode }) =>
            // Texts tried on some of the examples only are not the best of anything yet.
            Number.isFinite(bestReward) && (!episode || bestPrompt !== ''),
        )
        .map(({ evaluations, bestReward }) => [evaluations, bestReward] as const),
    );
  return meanCurve(curves).map(([evaluations, reward]) => ({ evaluations, reward }));
}

/** Analyses of comparisons, each made once for what is done of it: they resample ten thousand times. */
export interface Analyses {
  of(stored: StoredComparison, cells: readonly StoredCell[]): ReturnType<typeof analyse>;
}

export function createAnalyses(): Analyses {
  const known = new Map<string, { done: string; analysis: ReturnType<typeof analyse> }>();
  return {
    of(stored, cells) {
      const done = cells
        .filter(({ state }) => state === 'done')
        .map(({ method, repetition, run }) => `${method} ${repetition} ${run}`)
        .sort()
        .join('\n');
      const before = known.get(stored.id);
      if (before?.done === done) return before.analysis;
      const { methods: names, repetitions } = planOfStored(stored);
      const plan = {
        repetitions,
        methods: names.map(({ name, options }) => ({ method: methodOf(name), options })),
      };
      const analysis = analyse({ plan: plan as unknown as Plan, cells });
      if (known.size > 100) known.clear();
      known.set(stored.id, { done, analysis });
      return analysis;
    },
  };
}

/** One that this version does not know keeps its name. */
function methodOf(name: string): Pick<Method, 'name' | 'finds'> {
  return (methods as unknown as Record<string, Method>)[name] ?? { name };
}
