/**
 * Words for the classes. Label words: a linear classifier learns to tell the classes by the LM's
 * state at the place of the answer, and the words whose output embeddings it gives to a class with
 * the highest odds can stand for that class. Cue words: the words that, put into the prompt, move
 * the answer towards a class by the gradient; they are what a trigger is made of.
 *
 * Source: AutoPrompt, arXiv 2010.15980, section 2.3 (label words), equation 2 (cues).
 */
import { type Environment, PromptGradient } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { loadScorer } from '../models/programs.ts';
import { classify, fitLogistic, type LinearClassifier } from '../statistics/index.ts';
import { accuracy, predictLabel } from '../tasks/index.ts';
import { float32, floats, input, matmul } from '../tensor/index.ts';
import { type OnProgress, progressOf } from '../util/progress.ts';
import type { Rng } from '../util/rng.ts';
import { predictedChanges, triggerTokens, turnsIn } from './trigger-candidates.ts';

export interface RankedWord {
  readonly word: string;
  /** Label words: log-odds of the class. Cues: change of its −log p in nats, to first order. */
  readonly score: number;
}

export interface LabelWordsFound {
  /** Share of examples that the classifier gets right: below chance or so, its words say nothing. */
  readonly accuracy: { readonly train: number; readonly validation: number };
  /** Per class, best first. */
  readonly words: readonly (readonly RankedWord[])[];
}

interface Search {
  /** What stands in the template's prompt slot; may be empty. */
  readonly prompt: string;
  /** Words per class. */
  readonly count: number;
  readonly onProgress?: OnProgress | undefined;
}

/** `count` words per class, and how far the classes can be told at all. */
export async function searchLabelWords(
  train: Environment,
  validation: Environment,
  search: Search,
): Promise<LabelWordsFound> {
  const of = { phase: 'reading examples', unit: 'examples' };
  const [t, v] = [train.examples.length, validation.examples.length];
  const tell = progressOf({ ...of, total: t + v }, search.onProgress);
  tell(0);
  const { words, classifier, accuracy } = await wordsFrom(train, search, tell);
  const states = await readouts(validation, search.prompt, (done) => tell(t + done));
  return {
    words,
    accuracy: { train: accuracy, validation: rightOf(validation, classifier, states) },
  };
}

/**
 * One word per class from the train examples alone, none for two classes.
 * @throws ConfigError when the LM's vocabulary has too few words
 */
export async function bestLabelWords(train: Environment, prompt: string): Promise<string[]> {
  const { classes } = train.task;
  const { words } = await wordsFrom(train, { prompt, count: classes.length });
  const taken: string[] = [];
  for (const ranked of words) {
    const best = ranked.find(({ word }) => !taken.includes(word));
    if (!best) {
      throw new ConfigError(
        `labelWords: ${train.taskLm.name} has fewer words of one token than the task's ${classes.length} classes, set it to given`,
      );
    }
    taken.push(best.word);
  }
  return taken;
}

async function wordsFrom(train: Environment, { prompt, count }: Search, onRead?: OnRead) {
  const { taskLm, task } = train;
  const states = await readouts(train, prompt, onRead);
  const gold = train.examples.map(({ label }) => label);
  const classifier = fitLogistic(states, gold, { classes: task.classes.length });
  const ids = wordIds(taskLm);
  const odds = await wordOdds(taskLm, classifier, ids); // [A, C]
  const C = task.classes.length;
  const words = task.classes.map((_, c) =>
    top(count, ids.length, (a) => odds[a * C + c]!).map((a) => ({
      word: taskLm.tokenizer.tokenText(ids[a]!).trim(),
      score: odds[a * C + c]!,
    })),
  );
  return { words, classifier, accuracy: rightOf(train, classifier, states) };
}

/** Share of an environment's examples that the classifier gets right. */
function rightOf({ examples }: Environment, classifier: LinearClassifier, states: Float32Array) {
  const gold = examples.map(({ label }) => label);
  return accuracy(gold, predictions(classifier, states));
}

/** `count` cue words per class, for the slots of a prompt that is not empty; `points` as in `turnsIn`. */
export async function searchCueWords(
  environment: Environment,
  { prompt, count, points = 4, rng, onProgress }: Search & { points?: number; rng: Rng },
): Promise<RankedWord[][]> {
  const { taskLm, layout, task } = environment;
  const tokens = triggerTokens(environment, { banLabelWords: true });
  const gradient = await PromptGradient.load(environment);
  const ids = layout.prompt(prompt);
  const total = task.classes.length * ids.length * environment.examples.length;
  const tell = progressOf({ phase: 'looking for cue words', total, unit: 'examples' }, onProgress);
  let done = 0;
  const onExamples = (examples: number) => {
    done += examples;
    tell(done);
  };
  tell(0);
  try {
    const out: RankedWord[][] = [];
    for (const label of task.classes.keys()) {
      const best = new Map<string, number>();
      for (const slot of ids.keys()) {
        const turns = await turnsIn(slot, gradient, { tokens, points, rng });
        const slope = await gradient.at(ids, { label, turns, onExamples });
        const change = (await predictedChanges(gradient, slope, tokens))[slot]!;
        tokens.at(slot).forEach((id, a) => {
          const word = taskLm.tokenizer.tokenText(id).trim();
          best.set(word, Math.min(best.get(word) ?? 0, change[a]!));
        });
      }
      const ranked = [...best].map(([word, score]) => ({ word, score }));
      out.push(ranked.sort((a, b) => a.score - b.score).slice(0, count));
    }
    return out;
  } finally {
    await gradient.close();
  }
}

/** Told how many examples have been read. */
type OnRead = (examples: number) => void;

/** The LM's states [N, D] at the place of the answer, ready for the output embeddings. */
async function readouts(
  environment: Environment,
  prompt: string,
  onRead: OnRead = () => {},
): Promise<Float32Array> {
  const { taskLm, layout, examples } = environment;
  const scorer = await loadScorer(taskLm, 'readout', { prepack: false });
  const D = taskLm.config.width;
  const out = new Float32Array(examples.length * D);
  const ids = layout.prompt(prompt);
  let read = 0;
  for (let block = 0; block < environment.blockCount; block++) {
    const wanted = environment.examplesOf(block);
    const rows = wanted.map((e) => environment.rendered(ids, e));
    const states = await scorer.run(
      rows.map((row) => row.ids),
      rows.map((row) => row.answer),
    );
    wanted.forEach((e, i) => {
      out.set(states.subarray(i * D, (i + 1) * D), e * D);
    });
    read += wanted.length;
    onRead(read);
  }
  await scorer.unload();
  return out;
}

function predictions(classifier: LinearClassifier, features: Float32Array): number[] {
  const logits = classify(classifier, features);
  const C = classifier.biases.length;
  return Array.from({ length: logits.length / C }, (_, n) =>
    predictLabel(logits.subarray(n * C, (n + 1) * C)),
  );
}

/** Log-odds [A, C] of each class when words' output embeddings stand in for states. */
async function wordOdds(
  lm: LanguageModel,
  { weights, biases }: LinearClassifier,
  ids: readonly number[],
): Promise<Float32Array> {
  const C = biases.length;
  const D = lm.config.width;
  const table = lm.architecture.outputs(await lm.weights()); // [V, D]
  const product = matmul(input('weights', [C, D]), table, { transB: true });
  const program = await lm.load({ product }, { prepack: false });
  const scores = floats((await program.run({ weights: float32(weights, [C, D]) })).product);
  await program.unload();
  const V = scores.length / C;
  const out = new Float32Array(ids.length * C);
  ids.forEach((id, a) => {
    const z = Array.from(biases, (bias, c) => scores[c * V + id]! + bias);
    for (let c = 0; c < C; c++) out[a * C + c] = z[c]! - logSumExp(z.filter((_, k) => k !== c));
  });
  return out;
}

function logSumExp(values: readonly number[]): number {
  const max = Math.max(...values);
  return max + Math.log(values.reduce((sum, value) => sum + Math.exp(value - max), 0));
}

/** Words of letters (and digits after the first) that are one token in the place of the answer. */
function wordIds({ tokenizer }: LanguageModel): number[] {
  const ids: number[] = [];
  for (let id = 0; id < tokenizer.size; id++) {
    if (tokenizer.isSpecial(id)) continue;
    const text = tokenizer.tokenText(id).trim();
    if (!/^\p{L}[\p{L}\p{N}]*$/u.test(text)) continue;
    const again = tokenizer.encode(` ${text}`);
    if (again.length === 1 && again[0] === id) ids.push(id);
  }
  return ids;
}

/** Indices of the `count` highest scores, best first. */
function top(count: number, length: number, score: (index: number) => number): number[] {
  return Array.from({ length }, (_, i) => i)
    .sort((a, b) => score(b) - score(a))
    .slice(0, count);
}
