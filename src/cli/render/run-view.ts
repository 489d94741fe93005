/**
 * A run as a person sees it: fed with the run's events, it gives the lines to draw now, the line
 * for a log now and then, and the table at the end. It knows nothing of streams or time.
 */
import type { LedgerLine } from '../../providers/index.ts';
import type {
  Episode,
  FluencyPrice,
  OptimizeResult,
  ResultRow,
  RewardMeans,
  RunEvent,
  StartEvent,
  StepEvent,
  StepFluency,
  ValidationEvent,
} from '../../runs/events.ts';
import {
  formatCount,
  formatNumber,
  formatScore,
  formatSeconds,
  formatShare,
  formatUsd,
} from '../../util/format.ts';
import { pad, truncate, visible } from '../../util/text.ts';
import { bar, sparkline } from './chart.ts';
import { createProgressMeter } from './progress-line.ts';
import type { Style } from './style.ts';
import { renderTable } from './table.ts';

export interface RunView {
  onEvent(event: RunEvent): void;
  /** The region's lines for a terminal of `columns`. */
  lines(columns: number): string[];
  /** One line for a log, where the last event is worth one. */
  plain(): string | undefined;
}

const LABEL = 12;

export function createRunView(style: Style): RunView {
  const meter = createProgressMeter();
  const rewards: number[] = [];
  let start: StartEvent | undefined;
  let step: StepEvent | undefined;
  let episode: Episode | undefined;
  let validation: ValidationEvent | undefined;
  let isPreparing = true;
  let last: RunEvent['kind'] | undefined;

  const row = (label: string, text: string) => `  ${style.dim(pad(label, LABEL))}${text}`;

  return {
    onEvent(event) {
      last = event.kind;
      if (event.kind === 'start') start = event;
      else if (event.kind === 'validation') validation = best(validation, event);
      else if (event.kind === 'progress') {
        isPreparing = true;
        meter.update(event);
      } else if (event.kind === 'step') {
        isPreparing = false;
        step = event;
        episode = event.episode ?? episode;
        rewards.push(event.reward);
      }
    },
    lines(columns) {
      const out: string[] = [];
      if (start !== undefined) out.push(headline(start, style), row('models', modelsOf(start)));
      if (step !== undefined) {
        out.push(row('budget', budgetLine(step, style)));
        out.push(row('reward', rewardLine(step, rewards, columns, style)));
        out.push(row('best', bestLine(step, columns, style)));
        if (step.fluency) out.push(row('fluency', fluencyLine(step.fluency)));
      }
      if (validation !== undefined) out.push(row('validation', validationLine(validation)));
      if (episode !== undefined) out.push(...episodeLines(episode, columns, row, style));
      if (isPreparing) out.push(`  ${meter.line(style)}`);
      return out;
    },
    plain() {
      if (last === 'start' && start !== undefined) {
        return `${headline(start, style)} · ${modelsOf(start)}`;
      }
      if (last === 'progress') return meter.plain();
      return last === 'step' && step !== undefined ? stepSentence(step) : undefined;
    },
  };
}

/** The table at the end, and what to do next. Shown on standard output. */
export function resultLines(
  result: OptimizeResult,
  options: { style: Style; width: number; next: readonly string[] },
): string[] {
  const { style } = options;
  const found: ResultRow = {
    method: result.method,
    prompt: result.prompt,
    validation: result.validation,
    test: result.test,
  };
  const rows = result.rows?.length ? result.rows : [found];
  const isPriced = rows.some((row) => row.perplexity !== undefined);
  const perplexity = (r: ResultRow) =>
    r.perplexity === undefined ? '' : formatNumber(r.perplexity);
  const table = renderTable(
    [
      { title: 'method' },
      { title: 'prompt', canShrink: true },
      ...(isPriced ? [{ title: 'perplexity', align: 'right' as const }] : []),
      { title: 'validation, 95% interval', align: 'right' },
      { title: 'sealed test, 95% interval', align: 'right' },
    ],
    rows.map((r) => [
      r.method,
      quote(r.prompt),
      ...(isPriced ? [perplexity(r)] : []),
      formatScore(r.validation),
      formatScore(r.test),
    ]),
    options,
  );
  const cost = `${formatCount(result.evaluations)} evaluations in ${formatSeconds(result.seconds)}`;
  const sizes = `${formatCount(result.validation.examples)} validation and ${formatCount(result.test.examples)} test examples`;
  return [
    ...table,
    '',
    `${style.dim('found')} ${style.bold(quote(result.prompt))}`,
    ...(result.template === undefined ? [] : [`${style.dim('in   ')} ${quote(result.template)}`]),
    `${style.dim('cost')}  ${cost}; scored on ${sizes}, ${result.metric ?? 'float32'}`,
    ...rewardLines(result.test.reward, style),
    ...ledgerLines(result.ledger, style),
    ...choiceNote(rows, style),
    ...noiseNote(rows, found, style),
    ...priceLines(result.fluency, style),
    `${style.dim('run ')}  ${result.runId}`,
    ...options.next.map((line, i) => `${style.dim(i === 0 ? 'next' : '    ')}  ${line}`),
  ];
}

/** What a composed reward is made of, and how right answers and right forms go together. */
export function rewardLines(reward: RewardMeans | undefined, style: Style): string[] {
  if (reward === undefined) return [];
  const { mean, correctness, format, lengthCost, outcomes } = reward;
  const parts = [
    `${formatNumber(correctness)} for correctness`,
    ...(format === undefined ? [] : [`+ ${formatNumber(format)} for the format`]),
    ...(lengthCost === undefined ? [] : [`− ${formatNumber(lengthCost)} for length`]),
  ];
  const lines = [`${style.dim('worth')} reward ${formatNumber(mean)}: ${parts.join(' ')}`];
  if (outcomes === undefined) return lines;
  const { right, wrongAnswer, wrongFormat, bothWrong } = outcomes;
  const counts = `${right} right, ${wrongAnswer} with a wrong answer, ${wrongFormat} in a wrong format, ${bothWrong} wrong in both`;
  return [...lines, `      ${counts}`];
}

/** What models that answer in text took. */
export function ledgerLines(ledger: LedgerLine | undefined, style: Style): string[] {
  if (ledger === undefined) return [];
  if (ledger.calls === 0 && ledger.cached === 0 && ledger.retries === 0) return [];
  const { calls, cached, inputTokens, outputTokens, usd, retries } = ledger;
  const money = usd === null ? 'at a price that is not known' : formatUsd(usd);
  const more = [
    ...(cached > 0 ? [`${formatCount(cached)} from the cache`] : []),
    ...(retries > 0 ? [`${formatCount(retries)} retries`] : []),
  ].map((part) => `, ${part}`);
  return [
    `${style.dim('asked')} ${formatCount(calls)} calls${more.join('')}, ${formatCount(inputTokens)} + ${formatCount(outputTokens)} tokens, ${money}`,
  ];
}

/** What the chosen prompt's fluency cost. */
function priceLines(price: FluencyPrice | undefined, style: Style): string[] {
  if (price === undefined) return [];
  const label = style.dim('ppl ');
  const sum = `reward ${formatNumber(price.reward)} = ${formatNumber(price.taskReward)} of the task − ${formatNumber(price.penalty)}`;
  const out = [`${label}  perplexity ${formatNumber(price.perplexity)}; ${sum}`];
  const { unpriced } = price;
  if (unpriced === undefined) return out;
  const other = `${quote(unpriced.prompt)}, perplexity ${formatNumber(unpriced.perplexity)}, reward ${formatNumber(unpriced.taskReward)}, validation ${formatScore(unpriced.validation)}`;
  return [...out, `      had fluency been free: ${other}`];
}

/** Human prompts are chosen by reward: the best of them may have the smaller validation score. */
function choiceNote(rows: readonly ResultRow[], style: Style): string[] {
  const [ordinary, best] = rows.slice(0, -1);
  if (!ordinary || !best || best.validation.score >= ordinary.validation.score) return [];
  const what = 'the best human prompt has the highest mean reward on train and validation';
  return [`${style.dim('note')}  ${what}`];
}

/** No winner is announced inside the noise. */
function noiseNote(rows: readonly ResultRow[], found: ResultRow, style: Style): string[] {
  const others = rows.filter((row) => row.prompt !== found.prompt);
  const isClear = others.every((row) => row.test.interval[1] < found.test.interval[0]);
  if (others.length === 0 || isClear) return [];
  const size = `${formatCount(found.test.examples)} test examples`;
  const better = others.find((row) => row.test.interval[0] > found.test.interval[1]);
  const note = better
    ? `${size} show that ${quote(better.prompt)} is better than what was found: take it, or search longer`
    : `intervals overlap: ${size} do not show that one prompt is better`;
  return [`${style.dim('note')}  ${note}`];
}

/** A prompt in quotes, its control characters visible: leading spaces matter. */
export function quote(prompt: string): string {
  return `"${visible(prompt)}"`;
}

function best(known: ValidationEvent | undefined, next: ValidationEvent): ValidationEvent {
  return known !== undefined && known.validation.score > next.validation.score ? known : next;
}

function headline(start: StartEvent, style: Style): string {
  const { train, validation, test } = start.examples;
  const sizes = `${train} train, ${validation} validation, ${test} sealed test`;
  return `${style.bold(visible(start.method))} on ${visible(start.task)} ${style.dim(`(${sizes})`)}`;
}

function modelsOf(start: StartEvent): string {
  const [writer, reader] = [start.policyLm, start.taskLm].map((name) =>
    name.replace(/^local:/, ''),
  );
  return visible(
    writer === reader ? `${writer} writes and answers` : `${writer} writes, ${reader} answers`,
  );
}

function budgetLine(step: StepEvent, style: Style): string {
  const parts = [
    `step ${formatCount(step.step)}`,
    `${formatNumber(step.promptsPerSecond)} prompts/s`,
    `${formatCount(step.evaluations)} evaluations`,
  ];
  if (step.secondsLeft !== undefined) parts.push(`${formatSeconds(step.secondsLeft)} left`);
  const drawn =
    step.spent === undefined ? '' : `${style.cyan(bar(step.spent, 20))} ${percent(step.spent)}  `;
  return drawn + parts.join(' · ');
}

function rewardLine(
  step: StepEvent,
  rewards: readonly number[],
  columns: number,
  style: Style,
): string {
  const trend = sparkline(rewards, Math.max(8, Math.min(40, columns - 50)));
  const entropy = step.entropy === undefined ? '' : ` · entropy ${formatNumber(step.entropy)}`;
  return `${pad(formatNumber(step.reward), 7)} ${style.green(trend)}${style.dim(entropy)}`;
}

/** False while texts were tried on some of the examples only. */
export const hasBest = ({ episode, bestPrompt }: StepEvent): boolean =>
  !episode || bestPrompt !== '';

/** Columns of a prompt in a line of a log: demonstrations fill a page. */
const LOGGED = 100;

/** The best so far in a sentence; its reward alone where what is searched is no text. */
export function bestWords(step: StepEvent): string {
  if (!hasBest(step)) return '';
  const by = step.bestPrompt === '' ? '' : ` by ${truncate(quote(step.bestPrompt), LOGGED)}`;
  return `, best ${formatNumber(step.bestReward)}${by}`;
}

function bestLine(step: StepEvent, columns: number, style: Style): string {
  if (!hasBest(step)) return style.dim('none was tried on all examples yet');
  const reward = `${style.dim('reward')} ${formatNumber(step.bestReward)}`;
  if (step.bestPrompt === '') return reward;
  const shown = truncate(quote(step.bestPrompt), Math.max(16, columns - 32));
  return `${style.bold(shown)}  ${reward}`;
}

function fluencyLine({ perplexity, taskReward, penalty, best }: StepFluency): string {
  const ofBest = best === undefined ? '' : `, of the best ${formatNumber(best)}`;
  return `perplexity ${formatNumber(perplexity)}${ofBest} · reward ${formatNumber(taskReward)} of the task, ${formatNumber(penalty)} taken off`;
}

function validationLine({ prompt, validation }: ValidationEvent): string {
  return `${formatShare(validation.score)} of ${validation.examples}  ${truncate(quote(prompt), 40)}`;
}

function episodeLines(
  episode: Episode,
  columns: number,
  row: (label: string, text: string) => string,
  style: Style,
): string[] {
  const room = Math.max(16, columns - LABEL - 4);
  const isRight = episode.answer.trim() === episode.gold.trim();
  const answer = visible(episode.answer.trim());
  const shown = isRight ? style.green(`✓ ${answer}`) : style.red(`✗ ${answer}`);
  const gold = visible(episode.gold.trim());
  return [
    row('episode', truncate(quote(episode.prompt), room)),
    row('  input', truncate(visible(episode.input), room)),
    row(
      '  answer',
      `${shown}  ${style.dim('gold')} ${gold}  ${style.dim('reward')} ${formatNumber(episode.reward)}`,
    ),
  ];
}

function stepSentence(step: StepEvent): string {
  const left = step.secondsLeft === undefined ? '' : `, ${formatSeconds(step.secondsLeft)} left`;
  const entropy = step.entropy === undefined ? '' : `, entropy ${formatNumber(step.entropy)}`;
  return `step ${formatCount(step.step)}: reward ${formatNumber(step.reward)}${entropy}${bestWords(step)}, ${formatNumber(step.promptsPerSecond)} prompts/s, ${formatCount(step.evaluations)} evaluations${left}`;
}

function percent(share: number): string {
  return `${Math.round(share * 100)}%`.padStart(4);
}
