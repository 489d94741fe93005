/** The report as Markdown, for reviews and repositories: the HTML's tables without its charts. */
import {
  formatCount,
  formatP,
  formatScore,
  formatSeconds,
  formatShare,
  formatUsd,
} from '../../util/format.ts';
import { accuracyOf } from '../compare-analysis.ts';
import { isClear, leaderFirst, points } from '../compare-pairs.ts';
import { markdown, markdownPrompt } from './escape.ts';
import { commandOf, judging, KINDS, nameOf, type Report, spending } from './report.ts';

export function markdownReport(report: Report): string {
  const { compared, analysis, methods, failed } = report;
  const { about, plan, id } = compared;
  const { examples } = about;
  const lines = [
    `# Comparison: ${markdown(about.task)}`,
    '',
    ...analysis.verdict.flatMap((line, i) => [
      i === 0 ? `**${markdown(line)}**` : markdown(line),
      '',
    ]),
    `${plan.methods.length} methods, ${plan.repetitions.length === 1 ? '1 repetition' : `${plan.repetitions.length} repetitions`} each; task LM ${markdown(about.taskLm)}; ${examples.train} train, ${examples.validation} validation and ${formatCount(examples.test)} sealed test examples; comparison ${id}.`,
    '',
    '## Results',
    '',
    ...table(
      ['method', 'sealed test, 95% interval', 'validation', 'evaluations', 'time', 'money', 'runs'],
      methods.map(({ row, cells }) => [
        row.method,
        row.test ? formatScore({ score: row.test.mean, interval: row.test.interval }) : 'failed',
        row.validation === null ? '' : formatShare(row.validation),
        row.evaluations === null ? '' : formatCount(row.evaluations),
        row.seconds === null ? '' : formatSeconds(row.seconds),
        row.test ? formatUsd(row.usd) : '',
        `${row.seeds.length} of ${cells.length}`,
      ]),
    ),
    '',
    spending(report),
    '',
    ...section(
      'Failed',
      failed.map(
        (cell) =>
          `- ${cell.method}, ${nameOf(plan.repetitions[cell.repetition]!)}: ${markdown(cell.error ?? '')}`,
      ),
    ),
    ...section(
      'Differences',
      analysis.pairs.length === 0
        ? []
        : table(
            ['pair', 'points, 95% interval', 'p', 'adjusted p', 'p over runs', 'verdict'],
            analysis.pairs
              .map(leaderFirst)
              .map((pair) => [
                `${pair.a} − ${pair.b}`,
                `${points(pair.difference)} [${pair.interval.map(points).join(', ')}]`,
                formatP(pair.p),
                formatP(pair.pAdjusted),
                pair.pRepetitions?.toFixed(3) ?? '',
                isClear(pair) ? 'more than noise' : 'inside the noise',
              ]),
          ),
    ),
    '## What each result is',
    '',
    ...table(
      ['method', 'how', 'result', 'can it be moved?'],
      methods.map(({ row }) => [
        row.method,
        markdown(plan.methods.find(({ method }) => method.name === row.method)!.method.summary),
        KINDS[row.kindOfResult].what,
        KINDS[row.kindOfResult].moves,
      ]),
    ),
    '',
    '## What was found',
    '',
    ...methods.flatMap(({ row, cells }) => promptTable(report, row.method, cells)),
    '## How this was judged',
    '',
    ...judging(report).map((line) => `- ${line}`),
    '',
    '## Where it comes from',
    '',
    '```sh',
    commandOf(compared),
    '```',
    '',
    ...Object.entries({ ...report.versions, ...compared.hashes }).map(
      ([name, value]) => `- ${markdown(name)}: ${markdown(value)}`,
    ),
  ];
  return `${lines.join('\n')}\n`;
}

function promptTable(
  { compared: { plan } }: Report,
  method: string,
  cells: Report['failed'],
): string[] {
  const rows = cells.flatMap((cell) => {
    const { outcome, repetition, run } = cell;
    if (!outcome?.test) return [];
    const { found } = outcome;
    const isText = found.kindOfResult === 'text';
    const where = found.template === undefined ? '' : ` in ${markdownPrompt(found.template)}`;
    return [
      [
        nameOf(plan.repetitions[repetition]!),
        isText ? markdownPrompt(found.prompt) + where : markdown(found.prompt),
        formatShare(found.validation.score),
        formatShare(accuracyOf(cell)),
        run ?? '',
      ],
    ];
  });
  if (rows.length === 0) return [];
  return [`### ${method}`, '', ...table(['run', 'found', 'validation', 'test', 'id'], rows), ''];
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [`## ${title}`, '', ...lines, ''];
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)];
}
