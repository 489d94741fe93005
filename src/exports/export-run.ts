/**
 * Writes what a run found in another tool's form, reads the files again by that form's own reader, and
 * scores what they hold on the examples of the run's test score. Files that do not score what the run
 * said never appear.
 */
import { join } from 'node:path';
import { ConfigError, WhetstoneError } from '../errors.ts';
import type { LedgerLine } from '../providers/index.ts';
import type { OpenText } from '../runs/bench.ts';
import type { OnEvent } from '../runs/events.ts';
import { openBench } from '../runs/open-bench.ts';
import { configOf } from '../runs/run-config.ts';
import type { RunStore, StoredRun } from '../runs/store.ts';
import { formatShare } from '../util/format.ts';
import type { Exporter } from './exporter.ts';
import { type Finding, finished, gather } from './finding.ts';
import { type ExportFormat, exporters, loadExporters } from './index.ts';
import { refuseChangedData, refuseChangedModel, refuseOtherText, rescore } from './rescore.ts';
import { openStage, type Stage } from './stage.ts';

export interface ExportOptions {
  readonly format: ExportFormat;
  /** Folder that the files go to. */
  readonly out: string;
  readonly store: RunStore;
  /** Most that the two scores may differ: for models behind an API, which answer as they like. @default 0 */
  readonly tolerance?: number;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Opens models that answer in text. @default local ones and the known providers */
  readonly openText?: OpenText;
}

export interface ExportResult {
  readonly kind: 'result';
  readonly format: ExportFormat;
  readonly run: string;
  readonly files: readonly string[];
  /** What the run said, and what the files score now, on the same examples. */
  readonly score: number;
  readonly rescored: number;
  readonly split: 'test';
  readonly examples: number;
  /** What scoring took of models that answer in text; zeros where none was asked. */
  readonly ledger: LedgerLine;
}

/**
 * @throws ConfigError when the run has no result or the format cannot hold it
 * @throws StoreError when the folder cannot be written
 * @throws DataError, WhetstoneError when the files do not hold, or do not score, what the run said
 */
export async function exportRun(run: StoredRun, options: ExportOptions): Promise<ExportResult> {
  const { format, out, store, onEvent, signal, openText } = options;
  const done = finished(run);
  const exporter = await exporters[format].load();
  await refuseKind(exporter, done.result.kindOfResult);
  const loaded = configOf(run);
  const stage = await openStage(out);
  try {
    const bench = await openBench(loaded, {
      onProgress: (progress) => onEvent?.({ kind: 'progress', ...progress }),
      onWarning: (message) => onEvent?.({ kind: 'warning', message }),
      signal,
      openText,
    });
    try {
      const finding = await gather(done, { bench, loaded, store });
      await refuse(exporter, finding);
      const rescored = await writeAndRescore(exporter, finding, stage);
      signal?.throwIfAborted();
      const score = finding.found.score;
      refuseDifference({ score, rescored, finding, tolerance: options.tolerance ?? 0 });
      const files = await stage.commit();
      const { examples } = finding.found;
      return {
        kind: 'result',
        format,
        run: run.id,
        files,
        score,
        rescored,
        split: 'test',
        examples,
        ledger: bench.ledger,
      };
    } finally {
      await bench.close();
    }
  } finally {
    await stage.discard();
  }
}

async function writeAndRescore(
  exporter: Exporter,
  finding: Finding,
  stage: Stage,
): Promise<number> {
  refuseChangedData(finding);
  refuseChangedModel(finding);
  const written = await exporter.write(finding, stage.folder);
  for (const { name, data } of written) await stage.write(name, data);
  const files = await stage.read();
  const back = await exporter.read({ files, folder: stage.folder, finding });
  refuseOtherText(back, finding);
  return (await rescore(back, finding)).score;
}

/** What the record alone tells: before any model is opened. */
async function refuseKind(exporter: Exporter, kind: Finding['kind']): Promise<void> {
  if (exporter.kinds.includes(kind)) return;
  const others = (await loadExporters()).filter(({ kinds }) => kinds.includes(kind));
  throw cannot(exporter, whyNot(kind), others);
}

function whyNot(kind: Finding['kind']): string {
  if (kind === 'text') return 'holds tensors, and this run found a text';
  const what = { 'soft-prompt': 'a tensor', weights: 'changed weights', policy: 'a policy' }[kind];
  return `holds a text, and this run found ${what}`;
}

async function refuse(exporter: Exporter, finding: Finding): Promise<void> {
  const reason = reasonAgainst(exporter, finding);
  if (reason === undefined) return;
  const others = (await loadExporters()).filter(
    (other) => other.kinds.includes(finding.kind) && reasonAgainst(other, finding) === undefined,
  );
  throw cannot(exporter, reason, others);
}

function reasonAgainst({ asking, refuses }: Exporter, finding: Finding): string | undefined {
  const own = finding.answers.asking;
  if (!asking || asking.includes(own)) return refuses?.(finding);
  if (own === 'mask') return 'knows no masked LM, which answers inside of a text';
  return `knows no ${own === 'chat' ? 'messages' : 'text that a model goes on with'}`;
}

function cannot(exporter: Exporter, why: string, others: readonly Exporter[]): ConfigError {
  const names = others.map(({ name }) => name).join(', ');
  return new ConfigError(`--to ${exporter.name}: ${why}; take one of ${names}`);
}

function refuseDifference(about: {
  score: number;
  rescored: number;
  finding: Finding;
  tolerance: number;
}): void {
  const { score, rescored, finding, tolerance } = about;
  if (Math.abs(score - rescored) <= tolerance + 1e-9) return;
  const cause =
    finding.answers.asking === 'chat'
      ? 'the files hold the prompt that was found, so it is the model that answers otherwise now; --tolerance 0.02 lets that pass'
      : 'the files do not hold what was found';
  throw new WhetstoneError(
    `run ${finding.run.id}: the export scores ${formatShare(rescored)} where the run scored ${formatShare(score)} on the same ${finding.found.examples} test examples: ${cause}`,
  );
}

/** Where files go unless somebody says otherwise. */
export function defaultFolder(run: string): string {
  return join('exports', run);
}
