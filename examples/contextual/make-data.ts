/**
 * A data set in which the conversation decides what is asked about a text: how its writer felt,
 * whether it is short or long, what it is about. The task LM reads the text and a prompt, never the
 * conversation: only a policy that reads it can write the prompt that is needed.
 *
 *   npx tsx examples/contextual/make-data.ts OUT [TEXTS]
 *
 * OUT is a folder for train.jsonl, validation.jsonl and test.jsonl. TEXTS is a folder with the columns
 * text (or sentence) and label (0, 1) in train, validation (or dev) and test .tsv files; without it the
 * demo's remarks are taken.
 */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { readTable } from '../../src/tasks/data-file.ts';
import { demoFolder } from '../../src/tasks/demo.ts';
import { createRng } from '../../src/util/rng.ts';

interface Question {
  readonly name: string;
  /** How people ask; the last third is kept for validation and test. */
  readonly asked: readonly string[];
  /** The answer, or undefined where the question does not suit the text. */
  answer(text: string, label: string): string | undefined;
}

const ABOUT = { acting: /\b(act(ing|ors?|ress(es)?)|performances?|cast)\b/i, story: /\b(story|plot|script|screenplay|narrative)\b/i }; // biome-ignore format: one line

const questions: readonly Question[] = [
  {
    name: 'sentiment',
    asked: [
      'Did the writer like it?',
      'Is this praise or a complaint?',
      'How did the person feel about it?',
      'I want to know the mood of this one.',
      'Tell me whether the opinion is good or bad.',
      'What is the sentiment here?',
      'Were they happy with it?',
      'Is the verdict favourable?',
      'Would you say they enjoyed it?',
    ],
    answer: (_, label) => (label === '1' ? 'positive' : 'negative'),
  },
  {
    name: 'length',
    asked: [
      'Is it a short text or a long one?',
      'How much did they write?',
      'Did the writer keep it brief?',
      'Tell me about the length of this one.',
      'Is that a lengthy text?',
      'I only want to know how long the text is.',
      'Was it many words or few?',
      'Is the text brief or extended?',
      'How long is it?',
    ],
    answer(text) {
      const words = wordsOf(text);
      if (words <= SHORT) return 'short';
      return words >= LONG ? 'long' : undefined;
    },
  },
  {
    name: 'subject',
    asked: [
      'Is this about the story or about the acting?',
      'What part of the film is meant?',
      'What does the text talk about?',
      'Which side of the film do they mention, plot or performances?',
      'Tell me the topic of this one.',
      'What is the subject here?',
      'Do they speak of the script or of the cast?',
      'What is it about?',
      'What aspect of the film do they judge?',
    ],
    answer(text) {
      const [acting, story] = [ABOUT.acting.test(text), ABOUT.story.test(text)];
      if (acting === story) return undefined;
      return acting ? 'acting' : 'story';
    },
  },
];

/** Examples of each answer in a split. */
const SIZES = { train: 16, validation: 12, test: 40 } as const;

const [out, texts] = process.argv.slice(2);
if (!out) throw new Error('name the folder for the data, as in: make-data.ts data');
const rng = createRng('contextual');
const rows = rng.shuffle(await readTexts(texts ?? demoFolder()));
// The shortest third of the texts and the longest.
const sizes = rows.map(({ text }) => wordsOf(text)).sort((a, b) => a - b);
const [SHORT, LONG] = [sizes[Math.floor(sizes.length / 3)]!, sizes[Math.floor((2 * sizes.length) / 3)]! + 1]; // biome-ignore format: one line
mkdirSync(out, { recursive: true });
const taken = new Set<string>();
for (const [split, size] of Object.entries(SIZES)) {
  const lines = questions.flatMap((question) => linesOf(question, split, size));
  const path = join(out, `${split}.jsonl`);
  writeFileSync(path, rng.shuffle(lines).join(''));
  console.log(`${path}: ${lines.length} examples`);
}

function wordsOf(text: string): number {
  return text.split(/\s+/).length;
}

/** Examples of one question, as many of each answer; nothing where there are too few. */
function linesOf({ asked, answer }: Question, split: string, size: number): string[] {
  const byAnswer = new Map<string, string[]>();
  for (const { text, label } of rows) {
    const gold = taken.has(text) ? undefined : answer(text, label);
    if (gold === undefined) continue;
    const list = byAnswer.get(gold) ?? [];
    byAnswer.set(gold, list);
    if (list.length < size) list.push(text);
  }
  const least = Math.min(...[...byAnswer.values()].map((list) => list.length));
  if (byAnswer.size < 2 || least < size / 2) return [];
  const [from, to] = split === 'train' ? [0, 6] : [6, asked.length];
  return [...byAnswer].flatMap(([label, list]) =>
    list.slice(0, least).map((text) => {
      taken.add(text);
      const content = asked[from + rng.integer(to - from)]!;
      return `${JSON.stringify({ text, label, conversation: [{ role: 'user', content }] })}\n`;
    }),
  );
}

async function readTexts(folder: string): Promise<{ text: string; label: string }[]> {
  const names = ['train.tsv', 'validation.tsv', 'dev.tsv', 'test.tsv', '../test.tsv'];
  const all = new Map<string, string>();
  for (const path of names.map((name) => join(folder, name)).filter((p) => existsSync(p))) {
    for await (const { values } of readTable(path)) {
      const text = values.get('text') ?? values.get('sentence');
      if (text) all.set(text.trim(), values.get('label') ?? '');
    }
  }
  return [...all].map(([text, label]) => ({ text, label }));
}
