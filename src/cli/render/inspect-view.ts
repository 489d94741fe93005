/** An inspected prompt as a page for a terminal: facts first, then tokens, rewrite and transfer. */
import type { SplitScore } from '../../runs/events.ts';
import type { InspectResult, OrderSensitivity, TransferRow } from '../../runs/inspect/result.ts';
import {
  formatCount,
  formatNumber,
  formatScore,
  formatSeconds,
  formatShare,
} from '../../util/format.ts';
import { pad, visible } from '../../util/text.ts';
import { quote } from './run-view.ts';
import { fitLine, type Style, styledWidth } from './style.ts';
import { type Column, renderTable } from './table.ts';

interface Page {
  readonly style: Style;
  readonly width: number;
}

const LABEL = 11;

/** Lines of at most `width` columns. */
export function inspectLines(result: InspectResult, page: Page): string[] {
  const { style } = page;
  const { train, validation, sealedTest } = result.examples;
  const scored = `${formatCount(train)} train and ${formatCount(validation)} validation examples`;
  const sealed = `the ${formatCount(sealedTest)} test examples stay sealed`;
  const lines = [
    `${style.bold(quote(result.prompt))} on ${visible(result.task)}`,
    ...wrap(`${scored} in float32; ${sealed}`, page.width).map((line) => style.dim(line)),
    '',
    ...facts(result, page),
    '',
    ...tokenTable(result, page),
    '',
    ...rewriteLines(result, page),
    '',
    ...transferTable(result.transfer, page),
    '',
    style.dim(
      `${formatCount(result.evaluations)} evaluations in ${formatSeconds(result.seconds)}; intervals are 95%`,
    ),
  ];
  return lines.map((line) => fitLine(line, page.width));
}

function facts(result: InspectResult, page: Page): string[] {
  const { alone, afterContext, inPlace } = result.perplexity;
  return [
    ...row(page, 'accuracy', [
      page.style.bold(formatScore(result.score)),
      `without a prompt ${formatScore(result.empty)}`,
    ]),
    ...row(page, 'reward', [formatNumber(result.reward)]),
    ...row(page, 'perplexity', [
      `${large(alone)} alone`,
      `${large(inPlace)} in the template`,
      `${large(afterContext)} after what a policy reads (human prompts ${large(result.humanPerplexity)})`,
    ]),
    ...row(page, 'words', [wordLine(result)]),
    ...row(page, 'order', [orderLine(result.order)]),
  ];
}

/** A label and what belongs to it, joined by semicolons; what does not fit goes on below. */
function row({ style, width }: Page, label: string, parts: readonly string[]): string[] {
  const lines: string[] = [];
  parts.forEach((part, i) => {
    const text = i < parts.length - 1 ? `${part};` : part;
    const last = lines.at(-1);
    if (last !== undefined && LABEL + styledWidth(last) + 1 + styledWidth(text) <= width) {
      lines[lines.length - 1] = `${last} ${text}`;
    } else lines.push(text);
  });
  return lines.map((line, i) => `${style.dim(pad(i === 0 ? label : '', LABEL))}${line}`);
}

/** Digits in groups from 1,000 on: perplexities of nonsense are long. */
function large(value: number): string {
  return value >= 1000 ? formatCount(value) : formatNumber(value);
}

function wordLine({ dictionaryShare, words }: InspectResult): string {
  if (dictionaryShare === null) return 'none';
  const unknown = words.filter(({ isKnown }) => !isKnown).map(({ word }) => visible(word));
  const others = unknown.length === 0 ? '' : `, not ${unknown.join(', ')}`;
  const known = words.length - unknown.length;
  return `${known} of ${words.length} in the dictionary (${formatShare(dictionaryShare)})${others}`;
}

function orderLine(order: OrderSensitivity | null): string {
  if (order === null) return 'there is no other';
  const { mean, min, max } = order.accuracy;
  return `accuracy ${formatShare(min)} to ${formatShare(max)}, mean ${formatShare(mean)}, in ${order.permutations} other ${order.permutations === 1 ? 'order' : 'orders'}`;
}

function tokenTable(result: InspectResult, page: Page): string[] {
  const columns: Column[] = [
    { title: 'token' },
    { title: 'ln P', align: 'right' },
    { title: 'worth in accuracy', align: 'right' },
    { title: 'in reward', align: 'right' },
    { title: 'nearest tokens', canShrink: true },
  ];
  const rows = result.tokens.map((t) => [
    `${JSON.stringify(t.token)}${t.isSpecial ? ' (special)' : ''}`,
    t.logProb.inPlace.toFixed(2),
    points(t.importance, t.interval),
    signed(t.rewardImportance, formatNumber),
    t.nearest.map((near) => JSON.stringify(near.token)).join(' '),
  ]);
  return renderTable(columns, rows, page);
}

function rewriteLines(result: InspectResult, page: Page): string[] {
  const { fluentRewrite: rewrite, rewrites, perplexityLimit } = result;
  const of = `${rewrites.fluent} of ${rewrites.proposed} rewrites are within perplexity ${large(perplexityLimit)}`;
  if (rewrite === null) return row(page, 'rewrite', ['none', of]);
  const { difference, interval } = rewrite;
  const [low, high] = interval;
  return row(page, 'rewrite', [
    page.style.bold(quote(rewrite.prompt)),
    `perplexity ${large(rewrite.perplexity)}`,
    formatScore(rewrite.score),
    `${points(difference, interval)} points against the prompt`,
    ...(low <= 0 && high >= 0 ? ['within the noise'] : []),
    of,
    'chosen on these examples, so its score flatters it',
  ]);
}

function transferTable(rows: readonly TransferRow[], page: Page): string[] {
  const hasRewrite = rows.some(({ rewrite }) => rewrite !== null);
  const columns: Column[] = [
    { title: 'task LM', canShrink: true },
    { title: 'prompt', align: 'right' },
    ...(hasRewrite ? [{ title: 'rewrite', align: 'right' as const }] : []),
    { title: 'without', align: 'right' },
  ];
  const cell = (score: SplitScore | null) => (score === null ? '–' : formatScore(score));
  const table = renderTable(
    columns,
    rows.map((row) => [
      row.model,
      cell(row.score),
      ...(hasRewrite ? [cell(row.rewrite)] : []),
      cell(row.empty),
    ]),
    page,
  );
  const causes = rows.flatMap(({ model, cause }) =>
    cause === undefined ? [] : wrap(`${visible(model)}: ${visible(cause)}`, page.width),
  );
  return [...table, ...causes.map((line) => page.style.yellow(line))];
}

/** "+3.1 [-1.6, +7.8]", in percentage points. */
function points(difference: number, [low, high]: readonly [number, number]): string {
  const show = (share: number) => signed(share * 100, (value) => value.toFixed(1));
  return `${show(difference)} [${show(low)}, ${show(high)}]`;
}

function signed(value: number, show: (value: number) => string): string {
  const text = show(value);
  if (Number(text) === 0) return text.replace('-', '');
  return value > 0 ? `+${text}` : text;
}

/** Lines of whole words, later ones set in. */
function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    if (line !== '' && line.length + 1 + word.length > width) {
      lines.push(line);
      line = `  ${word}`;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, line];
}
