/** `whetstone runs`: what was run, one run in full, and what can be done with it. */
import { createInterface } from 'node:readline/promises';
import { type Command, Option } from 'commander';
import { ConfigError } from '../../errors.ts';
import type { Totals } from '../../providers/index.ts';
import type { RunStore, StoredPrompt, StoredRun } from '../../runs/store.ts';
import { visible } from '../../util/text.ts';
import { wholeNumber, withJson, withSet } from '../options.ts';
import { session } from '../session.ts';

export function defineRuns(program: Command): void {
  const runs = program.command('runs').description('look at recorded runs, and go on with them');
  const one = (name: string, about: string) =>
    withJson(runs.command(name))
      .description(about)
      .argument('<run>', 'its id, the beginning of it, or "last"');
  withJson(runs.command('list'))
    .description('recorded runs, newest first')
    .option('--limit <n>', 'how many', wholeNumber(1, 100_000), 20)
    .option('--before <run>', 'those that began before this one')
    .action(runList);
  one('show', 'one run: configuration, result, best prompts')
    .option('--events', 'all its events, too')
    .option('--prompts <n>', 'how many of its prompts', wholeNumber(0, 1_000_000), 64)
    .action(runShow);
  one('resume', 'go on with a run that was paused, interrupted, killed, or failed')
    .option('--as-recorded', "go on as recorded, even where the configuration's file has changed")
    .action((id: string, options: { asRecorded?: boolean }) => goOn(() => id, options));
  one('pause', 'ask the process that works on a run to keep its state and end').action(
    (id: string) => ask(id, 'pause'),
  );
  one('stop', 'ask it to end the search and to measure what was found').action((id: string) =>
    ask(id, 'stop'),
  );
  withSet(one('branch', 'a new run that goes on from a step of this one with other settings'))
    .option('--step <n>', 'the step, 0 to begin anew', wholeNumber(0, 1e9))
    .addOption(new Option('--no-run', 'leave the branch paused, for "runs resume"'))
    .action(runBranch);
  one('delete', 'delete a run with its files').option('--yes', 'without asking').action(runDelete);
  withJson(runs.command('diff'))
    .description('where two runs differ: settings, data and models, prompts, scores')
    .argument('<a>', 'a run')
    .argument('<b>', 'another one')
    .action(runDiff);
}

async function withStore<T>(work: (store: RunStore) => T | Promise<T>): Promise<T> {
  const { openStore } = await import('../../runs/store.ts');
  const store = await openStore();
  try {
    return await work(store);
  } finally {
    store.close();
  }
}

async function runList(options: { limit: number; before?: string }): Promise<void> {
  const [{ renderTable }, format, { quote }] = await Promise.all([
    import('../render/table.ts'),
    import('../../util/format.ts'),
    import('../render/run-view.ts'),
  ]);
  const { style, width, print, emit } = session();
  await withStore((store) => {
    const before = options.before === undefined ? undefined : store.getRun(options.before).id;
    const runs = store.listRuns({ limit: options.limit, before });
    const rows = runs.map((run) => [
      run.id,
      run.method,
      run.canResume ? `${run.state}, can be resumed` : run.state,
      run.started.toLocaleString(),
      run.result ? format.formatScore(run.result.test) : '',
      run.result ? quote(run.result.prompt) : (run.error ?? ''),
    ]);
    const columns = [
      { title: 'run' },
      { title: 'method' },
      { title: 'state' },
      { title: 'started' },
      { title: 'sealed test', align: 'right' as const },
      { title: 'prompt', canShrink: true },
    ];
    if (runs.length === 0) print('no runs yet; start with "whetstone demo"');
    else for (const line of renderTable(columns, rows, { style: style.out, width })) print(line);
    for (const run of runs) emit(lineOf(run));
    emit({ kind: 'result', store: store.path, runs });
  });
}

/** A run as one line of JSON. */
function lineOf(run: StoredRun): object {
  const { id, method, state, canResume, started, ended, parent, result, error } = run;
  return {
    kind: 'run',
    runId: id,
    ...{ method, state, canResume, started },
    ...(ended ? { ended } : {}),
    ...(parent === undefined ? {} : { parent, parentStep: run.parentStep }),
    ...(result ? { prompt: result.prompt, test: result.test } : {}),
    ...(error === undefined ? {} : { error }),
  };
}

/** Events that are read at once. */
const PAGE = 1000;

async function runShow(id: string, options: { events?: boolean; prompts: number }): Promise<void> {
  const { print, emit } = session();
  const { paidIn } = await import('../../runs/journal.ts');
  await withStore(async (store) => {
    const run = store.getRun(id);
    const prompts = store.prompts(run.id, { limit: options.prompts });
    for (let after = 0; options.events; ) {
      const page = store.events(run.id, { after, limit: PAGE });
      for (const { seq, time, event } of page) {
        emit({ ...event, seq, time });
        print(visible(`${time.toISOString()} ${JSON.stringify(event)}`));
      }
      if (page.length < PAGE) break;
      after = page.at(-1)!.seq;
    }
    const { recordings } = store;
    const steps = recordings.checkpoints(run.id).map(({ step }) => step);
    const paid = run.result ? undefined : paidIn({ recordings, run: run.id });
    for (const line of await describeRun(run, { prompts, steps, paid })) print(line);
    const count = store.promptCount(run.id);
    emit({ kind: 'result', run, prompts, promptCount: count, statesKept: steps, paid });
  });
}

async function describeRun(
  run: StoredRun,
  {
    prompts,
    steps,
    paid,
  }: { prompts: readonly StoredPrompt[]; steps: readonly number[]; paid: Totals | undefined },
): Promise<string[]> {
  const [{ stringify }, { resultLines, quote }, { renderTable }, format] = await Promise.all([
    import('yaml'),
    import('../render/run-view.ts'),
    import('../render/table.ts'),
    import('../../util/format.ts'),
  ]);
  const { style, width } = session();
  const ended = run.ended ? `, ended ${run.ended.toLocaleString()}` : '';
  const out = [
    `${style.out.bold(run.id)}  ${run.method}, ${run.state}, started ${run.started.toLocaleString()}${ended}`,
  ];
  if (run.parent !== undefined) out.push(`branched off ${run.parent} after step ${run.parentStep}`);
  if (run.error !== undefined) out.push(`failed: ${visible(run.error)}`);
  if (run.canResume) out.push(`goes on with "whetstone runs resume ${run.id}"`);
  if (paid && paid.calls > 0) {
    const usd = paid.usd > 0 ? `, ${format.formatUsd(paid.usd)}` : '';
    const spent = `${format.formatCount(paid.calls)} calls, ${format.formatCount(paid.tokens)} tokens${usd}`;
    out.push(`paid so far, at most: ${spent}`);
  }
  if (steps.length > 0) out.push(`states kept after step ${steps.join(', ')}`);
  out.push(
    '',
    style.out.dim('configuration'),
    ...stringify(run.config).trimEnd().split('\n').map(visible),
  );
  const facts = Object.entries({ ...run.versions, ...run.hashes });
  out.push('', style.out.dim('versions and hashes'));
  out.push(...facts.map(([name, value]) => visible(`${name}: ${value}`)));
  if (prompts.length > 0) {
    const rows = prompts
      .slice(0, 10)
      .map((p) => [
        quote(p.text),
        p.reward === undefined ? '' : format.formatNumber(p.reward),
        p.scores.validation ? format.formatScore(p.scores.validation) : '',
      ]);
    const columns = [
      { title: 'best prompts', canShrink: true },
      { title: 'reward', align: 'right' as const },
      { title: 'validation', align: 'right' as const },
    ];
    out.push('', ...renderTable(columns, rows, { style: style.out, width }));
  }
  if (run.result !== undefined) {
    out.push('', ...resultLines(run.result, { style: style.out, width, next: [] }));
  }
  return out;
}

/** Goes on with a run and ends as `optimize` does. */
async function goOn(
  idOf: (store: RunStore) => string,
  options: { asRecorded?: boolean | undefined },
): Promise<void> {
  const { region, signal, ...out } = session();
  const [{ resumeRun }, { resultLines }, { showRun }] = await Promise.all([
    import('../../runs/lifecycle.ts'),
    import('../render/run-view.ts'),
    import('../show.ts'),
  ]);
  await withStore(async (store) => {
    const onEvent = showRun(session());
    const result = await resumeRun(idOf(store), { store, signal, onEvent, ...options });
    region.close();
    const { style, width } = out;
    const next = [`npx whetstone runs show ${result.runId}`];
    for (const line of resultLines(result, { style: style.out, width, next })) out.print(line);
    out.emit(result);
  });
}

async function ask(id: string, request: 'pause' | 'stop'): Promise<void> {
  const { requestPause, requestStop } = await import('../../runs/lifecycle.ts');
  const { print, emit } = session();
  await withStore((store) => {
    const run = (request === 'pause' ? requestPause : requestStop)(store, id);
    const what = request === 'pause' ? 'pauses' : 'stops and measures what was found';
    print(`${run.id} ${what} after the step in hand`);
    emit({ kind: 'result', runId: run.id, request });
  });
}

async function runBranch(
  id: string,
  { set, step, run }: { set?: string[]; step?: number; run: boolean },
): Promise<void> {
  const { branchRun } = await import('../../runs/lifecycle.ts');
  const { print, emit, note } = session();
  let branch = '';
  await withStore((store) => {
    const made = branchRun(store, id, { set, step });
    branch = made.id;
    const where = `${made.id}, from step ${made.parentStep} of ${made.parent}`;
    if (run) return session().isJson ? undefined : note(where);
    print(where);
    emit({ kind: 'result', runId: made.id, parent: made.parent, step: made.parentStep });
  });
  if (run) await goOn(() => branch, {});
}

async function runDelete(id: string, { yes }: { yes?: boolean }): Promise<void> {
  const { deleteRun } = await import('../../runs/lifecycle.ts');
  const { print, emit } = session();
  await withStore(async (store) => {
    const run = store.getRun(id);
    if (!yes && !(await confirms(`delete ${run.id} (${run.method}, ${run.state})? [y/N] `))) {
      throw new ConfigError(`runs delete ${run.id}: nothing was deleted; say --yes to do it`);
    }
    deleteRun(store, run.id);
    print(`${run.id} is deleted`);
    emit({ kind: 'result', runId: run.id, deleted: true });
  });
}

/** Asks on a terminal; elsewhere nobody can answer. */
async function confirms(question: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY || session().isJson) return false;
  const lines = createInterface({ input: process.stdin, output: process.stderr });
  try {
    return /^y(es)?$/i.test((await lines.question(question)).trim());
  } finally {
    lines.close();
  }
}

async function runDiff(first: string, second: string): Promise<void> {
  const [{ diffRuns }, { renderTable }, format, { quote }] = await Promise.all([
    import('../../runs/lifecycle.ts'),
    import('../render/table.ts'),
    import('../../util/format.ts'),
    import('../render/run-view.ts'),
  ]);
  const { style, width, print, emit } = session();
  await withStore((store) => {
    const diff = diffRuns(store, first, second);
    const runs = { a: store.getRun(diff.a), b: store.getRun(diff.b) };
    const show = (value: unknown) => (value === undefined ? '' : JSON.stringify(value));
    const sides = (of: (side: 'a' | 'b') => string) => [of('a'), of('b')];
    const prompt = (side: 'a' | 'b') => {
      const text = diff.prompts[side];
      if (text === undefined) return `none yet: ${runs[side].state}`;
      return runs[side].result ? quote(text) : `${quote(text)}, best so far`;
    };
    // A branch that was never run has opened no data and no model.
    const fact = (side: 'a' | 'b', text: string | undefined) =>
      text?.slice(0, 24) ?? (Object.keys(runs[side].hashes).length === 0 ? 'not read yet' : '');
    const rows = [
      ...diff.config.map(({ path, a, b }) => [path, show(a), show(b)]),
      ...diff.facts.map((one) => [one.name, ...sides((side) => fact(side, one[side]))]),
      ['prompt', ...sides(prompt)],
    ];
    if (diff.test) {
      const score = (one: 'a' | 'b') =>
        diff.test?.[one] ? format.formatScore(diff.test[one]) : 'not measured';
      rows.push(['sealed test', ...sides(score)]);
    }
    const columns = [
      { title: 'what' },
      { title: diff.a, canShrink: true },
      { title: diff.b, canShrink: true },
    ];
    for (const line of renderTable(columns, rows, { style: style.out, width })) print(line);
    emit({ kind: 'result', ...diff });
  });
}
