/** Prints what a run would ask for: a table by role, or one record. */
import type { CallPlan, PlannedRole } from '../runs/plan.ts';
import { formatCount, formatSeconds } from '../util/format.ts';
import { renderTable } from './render/table.ts';
import { session } from './session.ts';

export function showPlan(plan: CallPlan): void {
  const { style, width, print, emit } = session();
  const row = (role: string, { calls, tokens, usd }: PlannedRole) => [
    role,
    formatCount(calls),
    formatCount(tokens),
    usd === null ? 'not known' : `$${usd.toFixed(2)}`,
  ];
  const table = renderTable(
    [
      { title: 'role' },
      { title: 'calls', align: 'right' },
      { title: 'tokens', align: 'right' },
      { title: 'cost', align: 'right' },
    ],
    [...Object.entries(plan.byRole).map(([role, planned]) => row(role, planned)), row('all', plan)],
    { style: style.out, width },
  );
  for (const line of table) print(line);
  print('');
  print(`about ${formatSeconds(60 * plan.minutes)}; estimated from above, nothing was sent`);
  for (const note of plan.notes) print(`note  ${note}`);
  emit(plan);
}
