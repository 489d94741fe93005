/** `whetstone doctor`: what works on this machine, and how to mend what does not. */
import type { Command } from 'commander';
import { withJson } from '../options.ts';
import { session } from '../session.ts';

export function defineDoctor(program: Command): void {
  withJson(program.command('doctor'))
    .description('check this machine: engine, models, folders')
    .action(runDoctor);
}

async function runDoctor(): Promise<void> {
  const [{ runChecks }, { pad, visible }] = await Promise.all([
    import('../doctor/checks.ts'),
    import('../../util/text.ts'),
  ]);
  const { style, print, emit } = session();
  const { out } = style;
  const mark = { ok: out.green('ok  '), warn: out.yellow('warn'), fail: out.red('fail') };
  const counts = { ok: 0, warn: 0, fail: 0 };
  for await (const check of runChecks()) {
    counts[check.state]++;
    emit({ kind: 'check', ...check });
    print(`${mark[check.state]}  ${out.dim(pad(check.name, 18))} ${visible(check.detail)}`);
    if (check.mend !== undefined) print(`      ${pad('', 18)} → ${visible(check.mend)}`);
  }
  print('');
  print(`${counts.ok} ok, ${counts.warn} to know, ${counts.fail} to mend`);
  emit({ kind: 'result', isHealthy: counts.fail === 0, checks: counts });
  if (counts.fail > 0) process.exitCode = 1;
}
