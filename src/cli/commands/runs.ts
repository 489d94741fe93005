/** `whetstone runs`: what was run, and one run in full. */
import type { Command } from 'commander';
import type { StoredRun } from '../../runs/store.ts';
import { wholeNumber, withJson } from '../options.ts';
import { session } from '../session.ts';

export function defineRuns(program: Command): void {
  const runs = program.command('runs').description('look at recorded runs');
  withJson(runs.command('list'))
    .description('recorded runs, newest first')
    .option('--limit <n>', 'how many', wholeNumber(1, 100_000), 20)
    .action(runList);
  withJson(runs.command('show'))
    .description('one run: configuration, result, best prompts')
    .argument('<run>', 'its id, the beginning of it, or "last"')
    .option('--events', 'all its events, too')
    .action(runShow);
}

async function runList(options: { limit: number }): Promise<void> {
  const [{ openStore }, { renderTable }, format, { quote }] = await Promise.all([
    import('../../runs/store.ts'),
    import('../render/table.ts'),
    import('../../util/format.ts'),
    import('../render/run-view.ts'),
  ]);
  const { style, width, print, emit } = session();
  const store = await openStore();
  try {
    const runs = store.listRuns(options);
    const rows = runs.map((run) => [
      run.id,
      run.method,
      run.state,
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
    emit({ kind: 'result', store: store.path, runs });
  } finally {
    store.close();
  }
}

async function runShow(id: string, options: { events?: boolean }): Promise<void> {
  const { openStore } = await import('../../runs/store.ts');
  const { print, emit } = session();
  const store = await openStore();
  try {
    const run = store.getRun(id);
    const prompts = store.prompts(run.id);
    if (options.events) {
      for (const { seq, time, event } of store.events(run.id)) {
        emit({ ...event, seq, time });
        print(`${time.toISOString()} ${JSON.stringify(event)}`);
      }
    }
    for (const line of await describeRun(run, prompts)) print(line);
    emit({ kind: 'result', run, prompts });
  } finally {
    store.close();
  }
}

async function describeRun(
  run: StoredRun,
  prompts: ReturnType<
    Awaited<ReturnType<typeof import('../../runs/store.ts').openStore>>['prompts']
  >,
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
  if (run.error !== undefined) out.push(`failed: ${run.error}`);
  out.push('', style.out.dim('configuration'), stringify(run.config).trimEnd());
  const facts = Object.entries({ ...run.versions, ...run.hashes });
  out.push('', style.out.dim('versions and hashes'));
  out.push(...facts.map(([name, value]) => `${name}: ${value}`));
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
