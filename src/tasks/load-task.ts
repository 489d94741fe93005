/**
 * From a configuration to a task: reads the data files, finds the classes, checks what would make a
 * result worthless (leaks between splits, one label only), and divides what is not divided yet.
 */
import { ConfigError, DataError } from '../errors.ts';
import { sha256 } from '../util/hash.ts';
import { createRng, type Rng } from '../util/rng.ts';
import type { ParsedTaskConfig, TaskConfig } from './config.ts';
import { excerpt } from './excerpt.ts';
import { taskKinds } from './kinds/index.ts';
import { type LabelledFile, type LabelledRow, readLabelledRows } from './labelled-rows.ts';
import { sealSplit } from './sealed-split.ts';
import { splitStratified, takeShots } from './split.ts';
import {
  examplesOfFiles,
  hashSplits,
  parseTaskConfig,
  readSplitFiles,
  type SplitName,
  splitNames,
  taskName,
} from './split-files.ts';
import type { Example, Task, TaskClass } from './task.ts';
import { causalTemplate, checkTemplateFits, maskedTemplate, parseTemplate } from './template.ts';
import { resolveClasses } from './verbalizer.ts';

export interface LoadTaskOptions {
  /** Relative paths start here: the configuration file's folder. */
  readonly baseFolder: string;
  /** For drawing splits, unless `split.seed` says otherwise. */
  readonly seed: number | string;
  /** Kind of the task LM: chooses the default template and checks a given one. */
  readonly taskLm?: 'causal' | 'masked';
}

/**
 * Loads a task.
 * @throws ConfigError when the configuration cannot be meant, DataError when the data cannot be a task
 */
export async function loadTask(config: TaskConfig, options: LoadTaskOptions): Promise<Task> {
  const parsed = parseTaskConfig(config);
  refuseTextKeys(parsed);
  const lm = options.taskLm ?? 'causal';
  const template = parseTemplate(
    parsed.template ?? (lm === 'masked' ? maskedTemplate : causalTemplate),
  );
  if (options.taskLm !== undefined) checkTemplateFits(template, lm);
  const files = await readSplitFiles(parsed, options.baseFolder, (place, path) =>
    readLabelledRows(place, path, parsed),
  );
  const classes = resolveClasses(firstSeen([...files.values()]), parsed.labels);
  const { splits, warnings } = divide(files, classes, parsed, options.seed);
  return {
    kind: 'classification',
    name: taskName(parsed, options.baseFolder),
    description: parsed.description ?? describe(classes),
    classes,
    template,
    train: splits.train,
    validation: splits.validation,
    test: sealSplit(splits.test),
    hashes: await hashSplits(files, splits, options.baseFolder),
    warnings: [...unusedWords(classes, files), ...warnings],
  };
}

/** @throws ConfigError for what only free text has */
function refuseTextKeys(config: ParsedTaskConfig): void {
  const { kind = 'classification' } = config;
  if (taskKinds[kind].answers === 'text') {
    throw new ConfigError(
      `task.kind: a task of kind ${kind} is answered in text, here labels are needed; set task.kind to classification or sentiment`,
    );
  }
  if (config.metric === undefined) return;
  throw new ConfigError(
    `task.metric: labels are right or wrong, so that it has no meaning for a task of kind ${kind}; remove it, or set task.kind, as to question-answering`,
  );
}

/** The three splits: files as given, missing ones carved out of train. */
function divide(
  files: ReadonlyMap<SplitName, LabelledFile>,
  classes: readonly TaskClass[],
  config: ParsedTaskConfig,
  seed: number | string,
): { splits: Record<SplitName, readonly Example[]>; warnings: string[] } {
  const rng = createRng(config.split?.seed ?? seed).fork('task');
  const golds = classes.map(({ gold }) => gold);
  const { splits, missing, warnings } = examplesOfFiles(files, config, {
    golds: 'labels',
    toExample: exampleMaker(golds),
    rng,
  });
  Object.assign(splits, carve(splits.train!, missing, config, golds, rng));
  if (config.shots !== undefined && splits.validation !== undefined && files.has('validation')) {
    const names = { golds };
    const drawn = takeShots(splits.validation, config.shots, ['validation'], rng, names);
    splits.validation = drawn.parts[0]!;
  }
  const whole = splits as Record<SplitName, readonly Example[]>;
  warnings.push(...checkLabels(whole, golds));
  return { splits: whole, warnings };
}

/** Train and the missing splits, out of the examples of the train file. */
function carve(
  pool: readonly Example[],
  missing: readonly SplitName[],
  { shots, split }: ParsedTaskConfig,
  golds: readonly string[],
  rng: Rng,
): { [name in SplitName]?: readonly Example[] } {
  const shares = { train: 0.5, validation: 0.2, test: 0.3, ...split };
  if (shots === undefined) {
    const names: SplitName[] = ['train', ...missing];
    const parts = names.map((name) => ({ name, share: shares[name] }));
    const divided = splitStratified(pool, parts, rng, { golds });
    return Object.fromEntries(names.map((name, i) => [name, divided[i]!]));
  }
  const names: SplitName[] = ['train', ...missing.filter((name) => name === 'validation')];
  const { parts, rest } = takeShots(pool, shots, names, rng, { golds });
  const carved = Object.fromEntries(names.map((name, i) => [name, parts[i]!]));
  if (!missing.includes('test')) return carved;
  const absent = golds.findIndex(
    (_, label) => pool.some((e) => e.label === label) && !rest.some((e) => e.label === label),
  );
  if (absent >= 0) {
    throw new DataError(
      `label "${excerpt(golds[absent]!)}" has no example left for the test split after ` +
        `${shots} shots; lower task.shots or give a test file`,
    );
  }
  return { ...carved, test: rest };
}

function exampleMaker(golds: readonly string[]): (row: LabelledRow) => Example {
  const labels = new Map(golds.map((gold, label) => [gold, label]));
  return ({ input, gold, key, question, conversation }) => ({
    id: sha256(`${key ?? input}\n${gold}`).slice(0, 16),
    input,
    label: labels.get(gold)!,
    ...(question === undefined ? {} : { question }),
    ...(conversation === undefined ? {} : { conversation }),
  });
}

/** Refuses a train split with one label; warns about labels that a split lacks. */
function checkLabels(
  splits: Record<SplitName, readonly Example[]>,
  golds: readonly string[],
): string[] {
  const used = new Set(splitNames.flatMap((name) => [...labelsOf(splits[name])]));
  return splitNames.flatMap((name) => {
    const labels = labelsOf(splits[name]);
    if (labels.size < 2 && name === 'train') {
      const [only] = labels;
      throw new DataError(
        `the train split holds one label only, "${excerpt(golds[only!]!)}", expected at least ` +
          'two; check task.gold and the file',
      );
    }
    const absent = golds.filter((_, label) => used.has(label) && !labels.has(label));
    const shown = absent.slice(0, 10).map((gold) => `"${excerpt(gold)}"`);
    return absent.length === 0 ? [] : [`the ${name} split has no example of ${shown.join(', ')}`];
  });
}

function labelsOf(examples: readonly Example[]): Set<number> {
  return new Set(examples.map(({ label }) => label));
}

function unusedWords(
  classes: readonly TaskClass[],
  files: ReadonlyMap<SplitName, LabelledFile>,
): string[] {
  const seen = firstSeen([...files.values()]);
  return classes
    .filter(({ gold }) => !seen.has(gold))
    .map(({ gold, word }) => `label "${excerpt(gold)}" (${excerpt(word)}) has no example`);
}

function firstSeen(files: readonly LabelledFile[]): Map<string, string> {
  const seen = new Map<string, string>();
  for (const { golds } of files) {
    for (const [gold, place] of golds) if (!seen.has(gold)) seen.set(gold, place);
  }
  return seen;
}

function describe(classes: readonly TaskClass[]): string {
  const words = classes.slice(0, 20).map(({ word }) => word);
  if (words.length < classes.length) return `Classify the text: ${words.join(', ')} and others.`;
  return `Classify the text as ${words.slice(0, -1).join(', ')} or ${words.at(-1)}.`;
}
