/** The task's part of a configuration. */
import { z } from 'zod';

const file = z.string().min(1);

export const taskConfigSchema = z.strictObject({
  name: z.string().min(1).optional().describe('Name of the task in reports'),
  description: z.string().optional().describe('One or two sentences that the policy LM reads'),
  data: z
    .union([file, z.strictObject({ train: file, validation: file.optional(), test: file })])
    .describe('A csv, tsv or jsonl file, or one file for each split'),
  input: z.string().default('text').describe('Column that holds the input'),
  gold: z.string().default('label').describe('Column that holds the gold label'),
  labels: z.record(z.string(), z.string().min(1)).describe('Gold label to label word'),
  template: z.string().default('{input} {prompt}').describe('Slots: {input} {prompt} {mask}'),
});
