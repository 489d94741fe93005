/**
 * The `task` part of a configuration: one schema that validation, defaults, editors and docs derive
 * from. What the data decides (columns, classes) is filled in by `load-task.ts`.
 */
import { z } from 'zod';
import { taskKindNames } from './kinds/index.ts';
import { metricSchema } from './metrics/index.ts';

const dataPath = z.string().min(1);

export const dataFilesSchema = z
  .strictObject({
    train: dataPath.describe('File of the examples that give the reward.'),
    validation: dataPath
      .optional()
      .describe('File of the examples that choose among finalists; else carved out of train.'),
    test: dataPath
      .optional()
      .describe('File of the sealed examples, read once at the end; else carved out of train.'),
  })
  .describe('One file per split.');

export const splitSharesSchema = z
  .strictObject({
    train: z.number().positive().default(0.5).describe('Share of the train split.'),
    validation: z.number().positive().default(0.2).describe('Share of the validation split.'),
    test: z.number().positive().default(0.3).describe('Share of the test split.'),
    seed: z
      .union([z.number().int(), z.string()])
      .optional()
      .describe("Seed of the drawing; the run's own seed when left out."),
  })
  .describe(
    'How one file is divided, stratified by label; shares count relative to each other. ' +
      'For splits given as files of their own it does nothing.',
  );

export const taskConfigSchema = z.strictObject({
  kind: z
    .enum(taskKindNames)
    .optional()
    .describe(
      'What is asked for: decides metric, template and length of answers; classification when left out.',
    ),
  name: z.string().min(1).optional().describe("Name in reports; the data file's when left out."),
  description: z
    .string()
    .optional()
    .describe('One or two sentences that tell the policy LM what the task is.'),
  data: z
    .union([dataPath, dataFilesSchema])
    .describe(
      'CSV, TSV or JSON Lines (.csv, .tsv, .jsonl, .ndjson) with a header row or keys: ' +
        'one path, or { train, validation, test }. Relative to the configuration file.',
    ),
  input: z
    .string()
    .optional()
    .describe('Column of the text; guessed among text, sentence, input, review … when left out.'),
  gold: z
    .string()
    .optional()
    .describe(
      'Column of the gold label; guessed among label, gold, class, target … when left out.',
    ),
  question: z
    .string()
    .optional()
    .describe(
      'Column of a question about the input; where labels are given, a policy alone reads it.',
    ),
  conversation: z
    .string()
    .optional()
    .describe(
      'Column of what was said before: a list of { role, content }, in CSV and TSV written as JSON.',
    ),
  metric: metricSchema
    .optional()
    .describe("How answers in text are judged; the kind's own metric when left out."),
  maxAnswerTokens: z
    .number()
    .int()
    .min(1)
    .max(100_000)
    .optional()
    .describe("Most tokens of an answer in text; the kind's own number when left out."),
  stop: z
    .array(z.string().min(1))
    .min(1)
    .max(4)
    .optional()
    .describe('Texts at which an answer ends; they are not part of it.'),
  labels: z
    .record(z.string(), z.string())
    .optional()
    .describe(
      'Label word for each value of the gold column, as { "0": negative, "1": positive }; ' +
        'the value itself when left out and it is a word.',
    ),
  template: z
    .string()
    .optional()
    .describe(
      'Text with the slots {input} and {prompt}, and {mask} for a masked task LM; ' +
        '"{input} {prompt}" or "{input} {prompt} {mask} ." when left out. Where answers are text, ' +
        'also {question}, and lines [system], [user], [assistant], [conversation] that begin messages.',
    ),
  split: splitSharesSchema.optional(),
  shots: z
    .number()
    .int()
    .positive()
    .optional()
    .describe(
      'Few-shot setting: this many examples of each label for train and as many for validation, ' +
        'drawn by the seed; the rest of one file is the test split.',
    ),
  maxExamples: z
    .number()
    .int()
    .positive()
    .optional()
    .describe('At most this many examples of each file, drawn by the seed, labels in proportion.'),
});

/** As written by a user. */
export type TaskConfig = z.input<typeof taskConfigSchema>;
/** After defaults. */
export type ParsedTaskConfig = z.output<typeof taskConfigSchema>;
