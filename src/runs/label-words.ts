/** Looks for label words and cue words for the classes of a configured task. */
import { ConfigError } from '../errors.ts';
import { type RankedWord, searchCueWords, searchLabelWords } from '../methods/index.ts';
import type { OnProgress } from '../util/progress.ts';
import { createRng } from '../util/rng.ts';
import type { LoadedConfig } from './config.ts';
import { Workbench } from './workbench.ts';

export interface LabelWordsOptions {
  /** What stands in the template's prompt slot. */
  readonly prompt: string;
  /** Words per class. */
  readonly top: number;
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface LabelWordsResult {
  readonly kind: 'result';
  readonly prompt: string;
  /** Of a linear classifier on the LM's states: how far the classes can be told from them. */
  readonly accuracy: { readonly train: number; readonly validation: number };
  readonly classes: readonly {
    readonly gold: string;
    readonly word: string;
    readonly labelWords: readonly RankedWord[];
    readonly cueWords: readonly RankedWord[];
  }[];
}

/** @throws ConfigError when the prompt is empty */
export async function labelWords(
  loaded: LoadedConfig,
  { prompt, top: count, onProgress, signal }: LabelWordsOptions,
): Promise<LabelWordsResult> {
  if (prompt.trim() === '') {
    throw new ConfigError('--prompt: the prompt is empty, cue words need a word to replace');
  }
  const bench = await Workbench.open(loaded, { onProgress, signal });
  try {
    const { task } = bench;
    const rng = createRng(loaded.config.seed).fork('cue words');
    const train = bench.environment(task.train, 'float32');
    const validation = bench.environment(task.validation, 'float32', { once: true });
    const report: OnProgress = (progress) => {
      signal?.throwIfAborted();
      onProgress?.(progress);
    };
    const search = { prompt, count, onProgress: report };
    const { accuracy, words } = await searchLabelWords(train, validation, search);
    const cues = await searchCueWords(train, { ...search, rng });
    await train.close();
    await validation.close();
    return {
      kind: 'result',
      prompt,
      accuracy,
      classes: task.classes.map(({ gold, word }, c) => ({
        gold,
        word,
        labelWords: words[c]!,
        cueWords: cues[c]!,
      })),
    };
  } finally {
    await bench.close();
  }
}
