/** The report as one HTML file: no scripts, nothing loaded, dark and light by the reader's setting. */
import { formatCount, formatNumber, formatShare } from '../../util/format.ts';
import { accuracyOf } from '../compare-analysis.ts';
import { isClear } from '../compare-pairs.ts';
import { pairWords, rowWords } from '../compare-words.ts';
import { describeBudget } from '../search.ts';
import { intervalChart, lineChart } from './charts.ts';
import { html, htmlPrompt } from './escape.ts';
import {
  commandOf,
  judging,
  KINDS,
  nameOf,
  type Report,
  type ReportedMethod,
  spending,
} from './report.ts';
import { STYLE } from './style.ts';

export function htmlReport(report: Report): string {
  const { compared, analysis } = report;
  const { about } = compared;
  const title = `Comparison: ${about.task}`;
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="color-scheme" content="light dark">
<title>${html(title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>${html(title)}</h1>
<p class="lede">${lede(report)}</p>
<section class="verdict"><h2>Verdict</h2>${analysis.verdict.map((line) => `<p>${html(line)}</p>`).join('')}</section>
${failures(report)}
${accuracySection(report)}
${differences(report)}
${costs(report)}
${nature(report)}
${prompts(report)}
${provenance(report)}
</main>
</body>
</html>
`;
}

function lede({ compared: { about, plan } }: Report): string {
  const { train, validation, test } = about.examples;
  const runs = plan.repetitions.length;
  return (
    `${plan.methods.length} methods, ${runs} ${runs === 1 ? 'run' : 'runs'} each, on the same data, each run with a budget of ` +
    `${describeBudget(plan.loaded.config)}. The model that answers is ${html(about.taskLm)}. ` +
    `${formatCount(train)} train, ${formatCount(validation)} validation and ${formatCount(test)} sealed test examples.`
  );
}

function failures({ failed, compared: { plan } }: Report): string {
  if (failed.length === 0) return '';
  const items = failed.map(
    ({ method, repetition, error }) =>
      `<li><b>${html(method)}</b>, ${html(nameOf(plan.repetitions[repetition]!))}: ${htmlPrompt(error ?? '')}</li>`,
  );
  return `<section class="failed"><h2>Runs that failed</h2><ul>${items.join('')}</ul></section>`;
}

function accuracySection(report: Report): string {
  const { methods } = report;
  const bars = methods.flatMap(({ row, look, accuracies }) =>
    row.test ? [{ method: row.method, look, ...row.test, values: accuracies }] : [],
  );
  const chart = bars.length === 0 ? '' : figure(intervalChart(bars), 'Large dot: mean over runs. Line: 95% interval. Small dots: single runs.'); // biome-ignore format: one call
  const rows = methods.map(({ row, cells }) => {
    const { test, validation, evaluations, time, money } = rowWords(row, '–');
    const runs = `${row.seeds.length} of ${cells.length}`;
    return [`<b>${html(row.method)}</b>`, test, validation, evaluations, time, money, runs];
  });
  const head = ['Method', 'Sealed test, 95%', 'Validation', 'Evaluations', 'Time', 'Money', 'Runs'];
  return `<section><h2>Accuracy on the sealed test</h2>${chart}${table(head, rows)}
<p class="note">${spending(report)}</p></section>`;
}

function differences({ analysis: { pairs } }: Report): string {
  if (pairs.length === 0) return '';
  const hasFlips = pairs.some(({ pRepetitions }) => pRepetitions !== undefined);
  const rows = pairs.map((each) => {
    const { pair, points, pAdjusted, pRepetitions, judgement } = pairWords(each, '–');
    const flips = hasFlips ? [pRepetitions] : [];
    return [
      html(pair),
      points,
      pAdjusted,
      ...flips,
      isClear(each) ? `<b>${judgement}</b>` : judgement,
    ];
  });
  const head = [
    'Difference',
    'Points, 95%',
    'Adjusted p',
    ...(hasFlips ? ['p over runs'] : []),
    'Judgement',
  ];
  return `<section><h2>Differences between methods</h2>${table(head, rows)}</section>`;
}

function costs({ methods }: Report): string {
  const curves = methods.filter(({ curve }) => curve.length > 0);
  if (curves.length === 0) return '';
  const reward = lineChart(
    curves.map(({ row, look, curve }) => ({ method: row.method, look, points: curve })),
    { yTitle: 'best reward on train so far', yFormat: formatNumber },
  );
  const tested = methods.filter(({ row }) => row.test);
  const accuracy = lineChart(
    tested.map(({ row, look }) => ({
      method: row.method,
      look,
      points: [[row.evaluations!, row.test!.mean]],
    })),
    {
      yTitle: 'accuracy on the sealed test',
      yFormat: (share) => `${Math.round(share * 1000) / 10}%`,
    },
  );
  const legend = methods.map(
    ({ row, look }) =>
      `<li><svg viewBox="0 0 30 10" class="key m${look}" aria-hidden="true"><path class="line" d="M1 5L29 5"/><circle class="mean" cx="15" cy="5" r="3.5"/></svg>${html(row.method)}</li>`,
  );
  return `<section><h2>What the search cost</h2><ul class="legend">${legend.join('')}</ul>
<div class="two">${figure(reward, 'Reward while searching, mean over runs.')}${figure(accuracy, 'What came out, for how many evaluations.')}</div></section>`;
}

function nature({ methods, compared: { plan } }: Report): string {
  const rows = methods.map(({ row }) => [
    `<b>${html(row.method)}</b>`,
    html(plan.methods.find(({ method }) => method.name === row.method)!.method.summary),
    KINDS[row.kindOfResult].what,
    KINDS[row.kindOfResult].moves,
  ]);
  return `<section><h2>What each result is</h2>${table(['Method', 'How it searches', 'The result is', 'Can it be moved?'], rows)}</section>`;
}

function prompts(report: Report): string {
  const parts = report.methods.map((method) => promptsOf(report, method));
  return `<section><h2>What was found</h2>
<p class="note">Marked characters, such as <i class="odd">U+200B</i>, do not show in the prompt itself.</p>${parts.join('')}</section>`;
}

function promptsOf({ compared: { plan } }: Report, { row, cells }: ReportedMethod): string {
  const rows = cells.flatMap((cell) => {
    if (!cell.outcome?.test) return [];
    const { found } = cell.outcome;
    const isText = found.kindOfResult === 'text';
    const shown = isText ? `<code>${htmlPrompt(found.prompt)}</code>` : htmlPrompt(found.prompt);
    const template =
      found.template === undefined ? '' : ` in <code>${htmlPrompt(found.template)}</code>`;
    return [
      [
        html(nameOf(plan.repetitions[cell.repetition]!)),
        shown + template,
        formatShare(found.validation.score),
        formatShare(accuracyOf(cell)),
        `<span class="id">${html(cell.run ?? '')}</span>`,
      ],
    ];
  });
  if (rows.length === 0) return '';
  return `<h3>${html(row.method)}</h3>${table(['Run', 'Found', 'Validation', 'Test', 'Record'], rows)}`;
}

function provenance(report: Report): string {
  const facts = Object.entries({ ...report.versions, ...report.compared.hashes });
  return `<section><h2>How this was judged</h2><ul>${judging(report)
    .map((line) => `<li>${html(line)}</li>`)
    .join('')}</ul></section>
<section><h2>Where it comes from</h2>
<p>Comparison <span class="id">${html(report.compared.id)}</span>. Asked again, the same command, with what was overridden by <code>--set</code>, takes everything from the store:</p>
<pre>${html(commandOf(report.compared))}</pre>
<details><summary>Versions, and SHA-256 of data and models</summary><dl>${facts
    .map(([name, value]) => `<dt>${html(name)}</dt><dd class="id">${html(value)}</dd>`)
    .join('')}</dl></details></section>`;
}

function figure(chart: string, caption: string): string {
  return `<figure>${chart}<figcaption>${html(caption)}</figcaption></figure>`;
}

/** Cells are HTML already. On a narrow screen each row becomes a card, its cells named. */
function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const body = rows.map(
    (row) =>
      `<tr>${row.map((cell, i) => `<td data-label="${html(head[i]!)}"><span>${cell}</span></td>`).join('')}</tr>`,
  );
  return `<table><thead><tr>${head.map((title) => `<th scope="col">${html(title)}</th>`).join('')}</tr></thead><tbody>${body.join('')}</tbody></table>`;
}
