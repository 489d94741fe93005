/**
 * One GRPO step as TRL's GRPOTrainer does it in `trl_grpo.py`: one prompt, 8 texts of 32 tokens each
 * (none may end early), a reward that costs nothing (the share of distinct tokens), LoRA of rank 8 on
 * all linear layers, one update by AdamW. Steps a second and peak memory.
 */
import { cpus } from 'node:os';
import { objectives } from '../src/methods/objectives.ts';
import { loadCompletionTrainer } from '../src/models/completions.ts';
import { loadGenerator } from '../src/models/generate.ts';
import { freshLora, loraShapes } from '../src/models/lora.ts';
import type { Precision } from '../src/models/prepared-weights.ts';
import { openModel } from '../src/runs/open-model.ts';
import { adamw, Engine, type Parameters } from '../src/tensor/index.ts';
import { createRng } from '../src/util/rng.ts';

const TEXTS = 8;
const TOKENS = 32;
const STEPS = 7;
const PROMPT =
  'no movement , no yuks , not much of anything . even the eager consumers will retch it up . The sentiment of this review is';

/** `{"stepsPerSecond", "generationShare", "rssMb", …}`; the first step is not counted. */
export async function benchGrpo(name: string, precision: Precision): Promise<object> {
  const engine = new Engine();
  const lm = await openModel(name, { engine });
  const lora = { rank: 8, alpha: 16, layers: 'all' } as const;
  const shapes = loraShapes(lm.architecture, lm.config, lora);
  const generator = await loadGenerator(lm, { lora, precision });
  const objective = objectives.grpo.objective({ clip: [0.2, 0.2], klWeight: 0 });
  const trainer = await loadCompletionTrainer(lm, lora, objective);
  const optimizer = adamw({ learningRate: 1e-5 });
  let parameters: Parameters = freshLora(shapes, createRng(1));
  let state = optimizer.init(parameters);
  const prompt = lm.tokenizer.encode(PROMPT);
  const weight = 1 / (TEXTS * TOKENS);
  const seconds: { step: number; writing: number }[] = [];
  for (let step = 0; step <= STEPS; step++) {
    const start = performance.now();
    const requests = Array.from({ length: TEXTS }, (_, i) => ({
      prompt,
      maxTokens: TOKENS,
      seed: step * TEXTS + i,
    }));
    const texts = await generator.run(requests, { adapter: parameters, endIds: [] });
    const written = performance.now();
    const rewards = texts.map(({ ids }) => new Set(ids).size / ids.length);
    const { gradients } = await trainer.run(
      [{ prompt, texts: texts.map(({ ids }) => ids) }],
      {
        advantages: [objectives.grpo.advantages(rewards)],
        oldLogProbs: [texts.map(({ logProbs }) => logProbs)],
        weights: [texts.map(({ ids }) => ids.map(() => weight))],
      },
      parameters,
    );
    [parameters, state] = optimizer.update(parameters, gradients, state);
    seconds.push({
      step: (performance.now() - start) / 1000,
      writing: (written - start) / 1000,
    });
  }
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1]!;
  const counted = seconds.slice(1);
  const step = median(counted.map((s) => s.step));
  const writing = median(counted.map((s) => s.writing));
  const result = {
    stepsPerSecond: 1 / step,
    generationTokensPerSecond: (TEXTS * TOKENS) / writing,
    generationShare: writing / step,
    precision,
    texts: TEXTS,
    tokens: TOKENS,
    promptTokens: prompt.length,
    trainableParameters: Object.values(parameters).reduce((sum, { length }) => sum + length, 0),
    rssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    threads: engine.threads,
    cpu: cpus()[0]?.model,
  };
  await engine.close();
  return result;
}
