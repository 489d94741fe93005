/**
 * Fine-tuning by LoRA: low-rank terms beside the task LM's own matrices, learnt on the same loss as
 * soft prompts, with an ordinary prompt in the template. It changes weights, so it needs an open
 * model wherever it is used; it is the yardstick for what prompts alone reach.
 *
 * Source: Hu et al. 2021, arXiv 2106.09685. Deviations: docs/methods/fine-tune.md.
 */
import { z } from 'zod';
import { freshLora, loraShapes } from '../models/lora.ts';
import { type BestState, descend, descentEvaluations, noEncoder } from './descent.ts';
import { scoreBlocks, wholeLearner } from './learner.ts';
import { type LoraAdapter, readLora, saveLora } from './lora-file.ts';
import { method, type SolutionContext } from './method.ts';
import { readingOf } from './reading.ts';
import type { TensorSolution } from './solution.ts';

const options = z.strictObject({
  name: z.literal('fine-tune').default('fine-tune'),
  prompt: z.string().default('Sentiment:').describe('Ordinary prompt that stands in the template'),
  rank: z.int().min(1).max(256).default(8).describe('LoRA’s r: inner width of the low-rank terms'),
  alpha: z.number().positive().default(16).describe('LoRA’s α: terms are scaled by α / r'),
  layers: z
    .enum(['qv', 'all'])
    .default('qv')
    .describe('Where: the attention’s q and v, or every linear layer'),
  learningRate: z
    .union([z.number().positive(), z.literal('auto')])
    .default('auto')
    .describe('Adam’s step size; auto tries three for a few steps each'),
  steps: z.int().min(1).max(100_000).default(100).describe('Most steps of one start'),
  patience: z
    .int()
    .min(1)
    .default(30)
    .describe('Steps without a better validation reward after which a start ends'),
  validateEvery: z.int().min(1).default(5).describe('Steps between looks at the validation split'),
  restarts: z.int().min(1).max(100).default(1).describe('Starts, each from fresh factors'),
  batchSize: z.int().min(1).max(1024).default(16).describe('Examples of one step'),
  clipNorm: z.number().positive().default(1).describe('Largest global norm of the gradient'),
  over: z
    .enum(['labels', 'vocabulary'])
    .default('labels')
    .describe('What the label word’s probability is taken over in the loss'),
});

export const fineTune = method({
  name: 'fine-tune',
  summary: 'LoRA on the task LM itself, with an ordinary prompt: fine-tuning.',
  options,
  finds: 'weights',
  leastEvaluations: descentEvaluations,
  async *run(context, o) {
    const { task, taskLm } = context;
    const reading = readingOf(task, taskLm, {
      virtualTokens: 0,
      place: 'before',
      prompt: o.prompt,
    });
    const lora = { rank: o.rank, alpha: o.alpha, layers: o.layers };
    const learner = wholeLearner(context, reading, { over: o.over, lora });
    const shapes = loraShapes(taskLm.architecture, taskLm.config, lora);
    let best: BestState | undefined;
    try {
      yield* descend({
        context,
        learner,
        made: { ...lora, prompt: o.prompt },
        options: { ...o, rates: [3e-4, 1e-3, 3e-3] },
        begin: async (restart) => ({
          encoder: noEncoder,
          parameters: freshLora(shapes, context.rng.fork(`start ${restart}`)),
        }),
        onBest: (state) => {
          best = state;
        },
      });
    } finally {
      if (best) {
        context.propose(
          solutionOf(context, {
            ...lora,
            parameters: best.parameters,
            prompt: o.prompt,
            template: task.template.source,
            model: taskLm.key,
            modelName: taskLm.name,
          }),
        );
      }
      await learner.close();
    }
  },
  async open(path, context) {
    return solutionOf(context, await readLora(path, context.taskLm));
  },
});

function solutionOf(
  { task, taskLm, reward }: SolutionContext,
  adapter: LoraAdapter,
): TensorSolution {
  const { prompt, rank, alpha, layers, parameters } = adapter;
  const reading = readingOf(task, taskLm, { virtualTokens: 0, place: 'before', prompt });
  const learner = wholeLearner({ taskLm }, reading, { lora: { rank, alpha, layers } });
  return {
    kind: 'weights',
    summary: `LoRA of rank ${rank} on ${layers === 'qv' ? 'q and v' : 'all linear layers'}, prompt "${prompt}"`,
    evaluate: (examples) =>
      scoreBlocks(learner, learner.blocksOf(examples, 32), parameters, { examples, reward }),
    save: (folder) => saveLora(folder, adapter, taskLm),
    close: () => learner.close(),
  };
}
