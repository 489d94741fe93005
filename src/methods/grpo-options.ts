/** The options of `grpo`: what is written, what of it is learnt, and from what it starts. */
import { z } from 'zod';
import { examplesPerStep } from './policy-loop.ts';

export const grpoOptions = z.strictObject({
  name: z.literal('grpo').default('grpo'),
  objective: z
    .enum(['grpo', 'rloo', 'reinforce'])
    .default('grpo')
    .describe('Clipped by token, clipped by prompt, or REINFORCE with a leave-one-out baseline'),
  promptTokens: z.int().min(2).max(512).default(24).describe('Most tokens of a prompt'),
  groups: z.int().min(1).max(64).default(2).describe('Contexts of a step'),
  groupSize: z.int().min(2).max(64).default(8).describe('Prompts written for each context'),
  examplesPerStep,
  rank: z.int().min(1).max(256).default(8).describe('LoRA’s r: inner width of the low-rank terms'),
  alpha: z.number().positive().default(16).describe('LoRA’s α: terms are scaled by α / r'),
  layers: z
    .enum(['qv', 'all'])
    .default('all')
    .describe('Where: the attention’s q and v, or every linear layer'),
  learningRate: z.number().positive().default(2e-4).describe('Adam’s step size'),
  updates: z.int().min(1).max(16).default(1).describe('Updates on the prompts of one step'),
  clip: z
    .tuple([z.number().min(0).max(1), z.number().min(0).max(10)])
    .default([0.2, 0.28])
    .describe('How far under and over one the ratio of probabilities counts'),
  klWeight: z.number().min(0).default(0).describe('Weight β of the divergence from the start'),
  resamples: z
    .int()
    .min(0)
    .max(16)
    .default(1)
    .describe('Times that a group is written again whose rewards are all one'),
  warmSteps: z
    .int()
    .min(0)
    .max(1000)
    .default(8)
    .describe('Steps of imitating human prompts before'),
  prompts: z
    .array(z.string().min(1))
    .min(1)
    .optional()
    .describe('What is imitated before; the built-in human prompts when left out'),
  promptsFile: z
    .string()
    .min(1)
    .optional()
    .describe('File of such prompts: one a line, JSON Lines, or a YAML list'),
  adapter: z
    .string()
    .min(1)
    .optional()
    .describe('Adapter of an earlier run to go on from: its folder or its file'),
  warmWeight: z
    .enum(['uniform', 'reward'])
    .optional()
    .describe('How they count: alike, or by what they earn on a context’s own examples'),
  validateEvery: z
    .int()
    .min(1)
    .default(10)
    .describe('Steps between looks at the validation split, where the policy is the result'),
  warmRate: z.number().positive().default(5e-4).describe('Adam’s step size while imitating'),
  clipNorm: z.number().positive().default(1).describe('Largest global norm of the gradient'),
  precision: z
    .enum(['float32', 'int8-blocks'])
    .default('int8-blocks')
    .describe('Of the policy LM while it writes; it learns in float32'),
});

export type GrpoOptions = z.infer<typeof grpoOptions>;
