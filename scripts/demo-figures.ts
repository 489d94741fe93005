/**
 * Figures of the bundled data set for its card, assets/demo/README.md: sizes, lengths, and how far
 * single words and bags of words get. Rows stand in pairs on one topic; folds keep pairs together.
 *
 * npx tsx scripts/demo-figures.ts
 */
import { pathToFileURL } from 'node:url';
import { demoTaskConfig, type Example, loadTask } from '../src/tasks/index.ts';
import { createRng } from '../src/util/rng.ts';

export interface DemoFigures {
  /** Lengths in words: least, quartiles, most. */
  readonly words: readonly number[];
  /** Five-fold accuracy of the best rule "this word occurs, so the label is …". */
  readonly oneWordRule: number;
  /** Five-fold accuracy of naive Bayes on word counts, add-one smoothed. */
  readonly naiveBayes: number;
}

const folds = 5;

/** Figures of examples that stand in pairs. */
export function demoFigures(examples: readonly Example[]): DemoFigures {
  const items = examples.map(({ input, label }) => ({ words: wordsOf(input), label }));
  const lengths = examples.map(({ input }) => input.split(' ').length).sort((a, b) => a - b);
  const pairs = createRng('demo figures').shuffle(items.flatMap((_, i) => (i % 2 ? [] : [i])));
  let oneWord = 0;
  let bayes = 0;
  for (let fold = 0; fold < folds; fold++) {
    const held = new Set(pairs.filter((_, i) => i % folds === fold).flatMap((i) => [i, i + 1]));
    const train = items.filter((_, i) => !held.has(i));
    const test = items.filter((_, i) => held.has(i));
    oneWord += countRight(test, fitOneWordRule(train));
    bayes += countRight(test, fitNaiveBayes(train));
  }
  return {
    words: [0, 0.25, 0.5, 0.75, 1].map((q) => lengths[Math.round(q * (lengths.length - 1))]!),
    oneWordRule: oneWord / items.length,
    naiveBayes: bayes / items.length,
  };
}

interface Item {
  readonly words: readonly string[];
  readonly label: number;
}
type Classifier = (words: readonly string[]) => number;

function fitOneWordRule(train: readonly Item[]): Classifier {
  const containing = new Map<string, [number, number]>();
  for (const { words, label } of train) {
    for (const word of new Set(words)) {
      const counts = containing.get(word) ?? [0, 0];
      counts[label as 0 | 1]++;
      containing.set(word, counts);
    }
  }
  let best = { word: '', label: 0, margin: 0 };
  for (const [word, [negative, positive]] of containing) {
    const margin = Math.abs(positive - negative);
    if (margin > best.margin) best = { word, label: positive > negative ? 1 : 0, margin };
  }
  return (words) => (words.includes(best.word) ? best.label : 1 - best.label);
}

function fitNaiveBayes(train: readonly Item[]): Classifier {
  const vocabulary = new Set(train.flatMap(({ words }) => words));
  const counts = [0, 1].map((label) => {
    const words = train.filter((item) => item.label === label).flatMap((item) => item.words);
    const count = new Map<string, number>();
    for (const word of words) count.set(word, (count.get(word) ?? 0) + 1);
    const total = words.length + vocabulary.size;
    return (word: string) => Math.log(((count.get(word) ?? 0) + 1) / total);
  });
  return (words) => {
    const known = words.filter((word) => vocabulary.has(word));
    const [negative, positive] = counts.map((logProb) =>
      known.reduce((sum, word) => sum + logProb(word), 0),
    );
    return positive! > negative! ? 1 : 0;
  };
}

function countRight(items: readonly Item[], classify: Classifier): number {
  return items.filter(({ words, label }) => classify(words) === label).length;
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[a-z0-9']+/g) ?? [];
}

async function main(): Promise<void> {
  const task = await loadTask(demoTaskConfig(), { baseFolder: '.', seed: 0 });
  const test = task.test.open();
  const { words, oneWordRule, naiveBayes } = demoFigures([
    ...task.train,
    ...task.validation,
    ...test,
  ]);
  const percent = (share: number) => `${(100 * share).toFixed(1)}%`;
  console.log(`| train / validation / test | ${task.train.length} / ${task.validation.length} / ${test.length} |
| words a remark: least, quartiles, most | ${words.join(', ')} |
| one-word rule, 5-fold | ${percent(oneWordRule)} |
| naive Bayes on words, 5-fold | ${percent(naiveBayes)} |`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main();
