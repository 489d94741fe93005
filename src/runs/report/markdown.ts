/** The report as Markdown, for reviews and repositories: the HTML's tables without its charts. */
import { formatCount, formatShare } from '../../util/format.ts';
import { accuracyOf } from '../compare-analysis.ts';
import { pairWords, rowWords } from '../compare-words.ts';
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
      methods.map(({ row, cells }) => {
        const { test, validation, evaluations, time, money } = rowWords(row, '');
        const runs = `${row.seeds.length} of ${cells.length}`;
        return [row.method, test, validation, evaluations, time, money, runs];
      }),
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
            analysis.pairs.map((each) => {
              const { pair, points, p, pAdjusted, pRepetitions, judgement } = pairWords(each, '');
              return [pair, points, p, pAdjusted, pRepetitions, judgement];
            }),
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
