/** `whetstone label-words`: words that can stand for the classes, and words that cue them. */
import type { Command } from 'commander';
import { wholeNumber, withJson, withSet } from '../options.ts';
import { session } from '../session.ts';

interface Options {
  readonly prompt: string;
  readonly top: number;
  readonly set?: string[];
}

export function defineLabelWords(program: Command): void {
  withJson(withSet(program.command('label-words')))
    .description("find label words and cue words for a task's classes")
    .argument('[config]', 'configuration file', 'whetstone.yaml')
    .option('--prompt <text>', 'what stands in the prompt slot', 'It was')
    .option('--top <n>', 'words per class', wholeNumber(1, 1000), 8)
    .action(runLabelWords);
}

async function runLabelWords(path: string, { prompt, top, set }: Options): Promise<void> {
  const { region, signal, style, width, print, emit } = session();
  const [{ loadConfig }, { labelWords }, { showProgress }, { renderTable }, { formatShare }] =
    await Promise.all([
      import('../../runs/config.ts'),
      import('../../runs/label-words.ts'),
      import('../show.ts'),
      import('../render/table.ts'),
      import('../../util/format.ts'),
    ]);
  const loaded = await loadConfig(path, { set });
  const onProgress = showProgress(session());
  const result = await labelWords(loaded, { prompt, top, onProgress, signal });
  region.close({ keep: false });
  const rows = result.classes.flatMap(({ gold, word, labelWords, cueWords }) => [
    [gold, word, 'label words', labelWords.map((found) => found.word).join(', ')],
    ['', '', 'cue words', cueWords.map((found) => found.word).join(', ')],
  ]);
  const columns = [
    { title: 'class' },
    { title: 'word today' },
    { title: '' },
    { title: 'found, best first', canShrink: true },
  ];
  for (const line of renderTable(columns, rows, { style: style.out, width })) print(line);
  const { train, validation } = result.accuracy;
  print('');
  print(
    `a linear classifier on the model's states: train ${formatShare(train)}, validation ${formatShare(validation)}`,
  );
  emit(result);
}
