/**
 * Soft prompts: P virtual tokens, embeddings that no word has, learnt by gradient descent through the
 * frozen task LM on the cross-entropy of the gold label's word.
 *
 * Behind the input (`after`) the inputs' keys and values are cached and only what follows them is
 * computed; in front of it (`before`, as in the papers and in PEFT) every step reads all texts.
 *
 * Source: prompt tuning, Lester et al. 2021, arXiv 2104.08691; encoders from P-tuning, arXiv
 * 2103.10385. Deviations: docs/methods/soft-prompt.md.
 */
import { z } from 'zod';
import { ConfigError } from '../errors.ts';
import type { Tokenizer } from '../models/tokenizer.ts';
import { wordEmbeddings } from '../models/training.ts';
import { wholeWords } from '../policy/action-space.ts';
import { type BestState, descend, descentEvaluations, noEncoder } from './descent.ts';
import { createEncoder } from './encoders.ts';
import { cachedLearner, type Learner, scoreBlocks, wholeLearner } from './learner.ts';
import { type MethodContext, method, type SolutionContext } from './method.ts';
import { type Reading, readingOf } from './reading.ts';
import { readSoftPrompt, type SoftPrompt, saveSoftPrompt } from './soft-prompt-file.ts';
import type { TensorSolution } from './solution.ts';

const options = z.strictObject({
  name: z.literal('soft-prompt').default('soft-prompt'),
  virtualTokens: z.int().min(1).max(128).default(5).describe('Virtual tokens P'),
  place: z
    .enum(['after', 'before'])
    .default('after')
    .describe('Behind the input, where little must be computed, or in front of it as in PEFT'),
  prompt: z
    .string()
    .default('')
    .describe('Ordinary text that stays in the template’s prompt slot beside the virtual tokens'),
  encoder: z
    .enum(['none', 'mlp', 'lstm'])
    .default('none')
    .describe('Reparametrisation while training, as in P-tuning'),
  encoderWidth: z.int().min(8).max(4096).default(256).describe('Inner width of the encoder, even'),
  init: z
    .enum(['text', 'vocabulary', 'random'])
    .default('text')
    .describe('Embeddings of a text, of random words, or noise of the vocabulary’s deviation'),
  initText: z
    .string()
    .optional()
    .describe('Text of init: text; a question that names the label words when left out'),
  learningRate: z
    .union([z.number().positive(), z.literal('auto')])
    .default('auto')
    .describe('Adam’s step size; auto tries three for a few steps each'),
  steps: z.int().min(1).max(100_000).default(200).describe('Most steps of one start'),
  patience: z
    .int()
    .min(1)
    .default(40)
    .describe('Steps without a better validation reward after which a start ends'),
  validateEvery: z.int().min(1).default(5).describe('Steps between looks at the validation split'),
  restarts: z.int().min(1).max(100).default(3).describe('Starts; the later ones add noise'),
  batchSize: z.int().min(1).max(1024).default(32).describe('Examples of one step'),
  clipNorm: z.number().positive().default(1).describe('Largest global norm of the gradient'),
  over: z
    .enum(['labels', 'vocabulary'])
    .default('labels')
    .describe('What the label word’s probability is taken over in the loss'),
});

type Options = z.infer<typeof options>;

export const softPrompt = method({
  name: 'soft-prompt',
  summary: 'Virtual tokens learnt by gradient descent through the frozen task LM: soft prompts.',
  options,
  finds: 'soft-prompt',
  leastEvaluations: descentEvaluations,
  async *run(context, o) {
    const reading = readingOf(context.task, context.taskLm, o);
    const learner = learnerOf(context, reading, o);
    const words = await vocabularySample(context);
    let best: BestState | undefined;
    try {
      yield* descend({
        context,
        learner,
        made: {
          virtualTokens: o.virtualTokens,
          place: o.place,
          prompt: o.prompt,
          encoder: o.encoder,
          encoderWidth: o.encoderWidth,
        },
        options: { ...o, rates: o.encoder === 'none' ? [3e-3, 3e-2, 0.3] : [1e-4, 1e-3, 1e-2] },
        async begin(restart) {
          const rng = context.rng.fork(`start ${restart}`);
          const start = await startOf(context, o, words);
          if (restart > 0) {
            // Another place nearby: half of what tells words apart.
            for (let i = 0; i < start.length; i++)
              start[i]! += 0.5 * words.deviation * rng.normal();
          }
          if (o.encoder === 'none') return { encoder: noEncoder, parameters: { virtual: start } };
          return createEncoder(o.encoder, start, {
            engine: context.taskLm.engine,
            rng,
            virtualTokens: o.virtualTokens,
            width: context.taskLm.config.width,
            inner: 2 * Math.ceil(o.encoderWidth / 2),
          });
        },
        onBest: (state) => {
          best = state;
        },
      });
    } finally {
      if (best) context.propose(solutionOf(context, softPromptOf(context, o, best)));
      await learner.close();
    }
  },
  async open(path, context) {
    return solutionOf(context, await readSoftPrompt(path, context.taskLm));
  },
});

function learnerOf(context: MethodContext, reading: Reading, o: Options): Learner {
  const { cached } = reading;
  return cached
    ? cachedLearner(context, { ...reading, cached }, o)
    : wholeLearner(context, reading, o);
}

function softPromptOf(
  { task, taskLm }: MethodContext,
  { virtualTokens, place, prompt }: Options,
  { parameters }: BestState,
): SoftPrompt {
  return {
    virtual: parameters.virtual!,
    virtualTokens,
    place,
    prompt,
    template: task.template.source,
    model: taskLm.key,
    modelName: taskLm.name,
  };
}

/** However it was trained, it is scored as whole sequences. */
function solutionOf(context: SolutionContext, soft: SoftPrompt): TensorSolution {
  const { task, taskLm, reward } = context;
  const { virtualTokens, place } = soft;
  const reading = readingOf(task, taskLm, soft);
  const learner = wholeLearner({ taskLm }, reading, { virtualTokens });
  const where = place === 'after' ? 'behind' : 'in front of';
  return {
    kind: 'soft-prompt',
    summary: `${virtualTokens} virtual token${virtualTokens === 1 ? '' : 's'} ${where} the input`,
    evaluate: (examples) =>
      scoreBlocks(
        learner,
        learner.blocksOf(examples, 32),
        { virtual: soft.virtual },
        { examples, reward },
      ),
    save: (folder) => saveSoftPrompt(folder, soft, taskLm),
    close: () => learner.close(),
  };
}

interface VocabularySample {
  /** Ids of whole words. */
  readonly ids: readonly number[];
  /** Standard deviation of their embeddings' values. */
  readonly deviation: number;
}

/** Whole words; every ordinary token where the tokenizer knows no spaces. */
function wordsOf(tokenizer: Tokenizer): readonly number[] {
  const ids = wholeWords(tokenizer);
  if (ids.length > 0) return ids;
  const all = Array.from({ length: tokenizer.size }, (_, id) => id);
  return all.filter((id) => !tokenizer.isSpecial(id));
}

/** How widely the embeddings of words spread, from some of them. */
async function vocabularySample({ taskLm, rng }: MethodContext): Promise<VocabularySample> {
  const ids = wordsOf(taskLm.tokenizer);
  const sampled = Array.from({ length: 256 }, () => ids[rng.integer(ids.length)]!);
  const values = await wordEmbeddings(taskLm, sampled);
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const variance = values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length;
  return { ids, deviation: Math.sqrt(variance) };
}

/** First virtual tokens [P, D]. */
async function startOf(
  { task, taskLm, rng }: MethodContext,
  { virtualTokens: P, init, initText }: Options,
  { ids, deviation }: VocabularySample,
): Promise<Float32Array<ArrayBuffer>> {
  if (init === 'random') {
    const values = new Float32Array(P * taskLm.config.width);
    return values.map(() => deviation * rng.normal());
  }
  if (init === 'vocabulary') {
    const drawn = Array.from({ length: P }, () => ids[rng.integer(ids.length)]!);
    return wordEmbeddings(taskLm, drawn);
  }
  const words = task.classes.map(({ word }) => word).join(' or ');
  const text = taskLm.tokenizer.encode(` ${initText ?? `Is this ${words}? It is`}`);
  if (text.length === 0) {
    throw new ConfigError(`method.initText: "${initText}" has no token for ${taskLm.name}`);
  }
  // Repeated if short; the end of it, since what stands last counts most.
  const repeated = Array.from({ length: Math.ceil(P / text.length) }, () => text).flat();
  return wordEmbeddings(taskLm, repeated.slice(-P));
}
