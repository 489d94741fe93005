/** A prompt's gradient on tiny real checkpoints: against central differences and among its own ways. */
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { Environment, PromptGradient } from '../src/environment/index.ts';
import { loadFirstOrder } from '../src/models/first-order.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import { loadSequenceTrainer } from '../src/models/training.ts';
import { rewards } from '../src/tasks/index.ts';
import { maskedModel, tinyTask, wordsOf } from './tiny-context.ts';
import { distance, tinyModels } from './tiny-models.ts';

const models = tinyModels();
afterAll(() => models.close());

const layouts = [
  { name: 'llama', template: '{input} {prompt}' },
  { name: 'llama', template: '{input} {prompt} so' },
  { name: 'llama', template: '{prompt} {input}' },
  { name: 'gpt2', template: '{input} {prompt}' },
  { name: 'gpt2', template: '{prompt} {input}' },
  { name: 'qwen3', template: '{input} {prompt}' },
  { name: 'gemma3', template: '{input} {prompt}' },
  { name: 'roberta', template: '{input} {prompt} {mask} w3' },
];

async function setting(name: string, template: string) {
  const lm =
    name === 'roberta' ? await maskedModel(models) : await models.open(join('models', name));
  const task = tinyTask(lm, { template, size: 7 });
  const environment = new Environment({
    task,
    taskLm: lm,
    examples: task.train,
    reward: rewards['log-prob'],
    precision: 'float32',
    examplesPerPass: 3,
  });
  const text = wordsOf(lm).slice(10, 13).join(' ');
  return { lm, environment, text, ids: environment.layout.prompt(text) };
}

const labelsOf = (lm: LanguageModel) =>
  wordsOf(lm)
    .slice(0, 2)
    .map((word) => lm.tokenizer.encode(` ${word}`)[0]!);

/** Loss and gradient of whole texts, nothing cached, with other words in the prompt's place. */
async function wholeTexts({ lm, environment, ids }: Awaited<ReturnType<typeof setting>>) {
  const trainer = await loadSequenceTrainer(lm, { virtualTokens: ids.length });
  const prompt = ids.map((_, p) => -1 - p);
  const texts = environment.examples.map((_, e) => environment.rendered(prompt, e));
  const N = texts.length;
  return {
    async at(words: Float32Array<ArrayBuffer>) {
      const { losses, gradients } = await trainer.run(
        texts.map((text) => text.ids),
        {
          places: texts.map(({ answer }) => answer),
          labels: labelsOf(lm),
          gold: environment.examples.map(({ label }) => label),
        },
        { virtual: words },
      );
      const loss = losses.reduce((sum, value) => sum + value / N, 0);
      return { loss, gradient: gradients.virtual!.map((value) => value / N) };
    },
    unload: () => trainer.unload(),
  };
}

it.each(layouts)('$name, $template: agrees with central differences', async (layout) => {
  const given = await setting(layout.name, layout.template);
  const { lm, environment, ids, text } = given;
  const gradient = await PromptGradient.load(environment);
  const slope = await gradient.at(ids);
  const [score] = await environment.step([{ text, ids }]);
  expect(slope.examples).toBe(7);
  expect(slope.loss).toBeCloseTo(-score!.reward, 4);

  const texts = await wholeTexts(given);
  const lossAt = async (words: Float32Array<ArrayBuffer>) => (await texts.at(words)).loss;
  const scale = slope.gradient.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const D = lm.config.width;
  const h = 1e-2;
  for (let t = 0; t < ids.length; t++) {
    for (const d of [0, 5, D - 1]) {
      const moved = (by: number) => slope.words.map((x, i) => (i === t * D + d ? x + by : x));
      const difference = ((await lossAt(moved(h))) - (await lossAt(moved(-h)))) / (2 * h);
      expect(Math.abs(slope.gradient[t * D + d]! - difference)).toBeLessThan(0.02 * scale);
    }
  }
  await texts.unload();
  await gradient.close();
  await environment.close();
});

it('is the same from cached prefixes as from whole texts', async () => {
  const given = await setting('llama', '{input} {prompt}');
  const gradient = await PromptGradient.load(given.environment);
  const { gradient: cached, words } = await gradient.at(given.ids);
  const texts = await wholeTexts(given);
  expect(distance(cached, (await texts.at(words)).gradient)).toBeLessThan(1e-5);
  await texts.unload();
  await gradient.close();
  await given.environment.close();
});

it('adds up over blocks of examples', async () => {
  const { environment, ids } = await setting('llama', '{input} {prompt}');
  const gradient = await PromptGradient.load(environment);
  const all = await gradient.at(ids);
  const sum = new Float32Array(all.gradient.length);
  for (let block = 0; block < environment.blockCount; block++) {
    const part = await gradient.at(ids, { blocks: [block] });
    for (let i = 0; i < sum.length; i++) sum[i]! += part.gradient[i]! * part.examples;
  }
  const mean = sum.map((value) => value / all.examples);
  expect(distance(mean, all.gradient)).toBeLessThan(1e-6);
  await gradient.close();
  await environment.close();
});

it.each(['{input} {prompt} so', '{prompt} {input}'])(
  '%s: averages over other words in a slot, with the loss of the prompt itself',
  async (template) => {
    const { environment, ids } = await setting('llama', template);
    const gradient = await PromptGradient.load(environment);
    const others = [ids[0]!, ids[2]!];
    const slopes = [await gradient.at(ids)];
    for (const id of others) slopes.push(await gradient.at(ids.with(1, id)));
    const mean = slopes[0]!.gradient.map((_, i) =>
      slopes.reduce((sum, slope) => sum + slope.gradient[i]! / 3, 0),
    );
    const turns = { slot: 1, words: await gradient.wordsOf(others) };
    const slope = await gradient.at(ids, { turns });
    expect(distance(slope.gradient, mean)).toBeLessThan(1e-6);
    expect(slope.loss).toBeCloseTo(slopes[0]!.loss, 5);
    expect(slope.words).toEqual(slopes[0]!.words);
    expect(slope.examples).toBe(3 * 7);
    await gradient.close();
    await environment.close();
  },
);

it('knows the mean of words', async () => {
  const { environment, ids } = await setting('gemma3', '{input} {prompt}');
  const gradient = await PromptGradient.load(environment);
  const words = await gradient.wordsOf(ids);
  const mean = words[0]!.map((_, d) => words.reduce((sum, w) => sum + w[d]! / words.length, 0));
  expect(distance(await gradient.meanOf(ids), mean)).toBeLessThan(1e-6);
  await gradient.close();
  await environment.close();
});

it('ranks words by (e_w − e_t) · ∇_t', async () => {
  const { lm, environment, ids } = await setting('gemma3', '{input} {prompt}');
  const gradient = await PromptGradient.load(environment);
  const slope = await gradient.at(ids);
  const asked = [ids[1]!, ...labelsOf(lm)];
  const changes = await gradient.changes(slope, asked);
  const firstOrder = await loadFirstOrder(lm);
  const embeddings = await firstOrder.words(asked);
  const D = lm.config.width;
  changes.forEach((change, t) => {
    asked.forEach((_, a) => {
      let expected = 0;
      for (let d = 0; d < D; d++) {
        const moved = embeddings[a * D + d]! - slope.words[t * D + d]!;
        expected += moved * slope.gradient[t * D + d]!;
      }
      expect(change[a]).toBeCloseTo(expected, 5);
    });
  });
  expect(changes[1]![0]).toBeCloseTo(0, 6);
  await firstOrder.unload();
  await gradient.close();
  await environment.close();
});

it('refuses label words that begin alike', async () => {
  const lm = await models.open(join('models', 'llama'));
  const [a, b, c] = wordsOf(lm);
  const labelWords = [`${a} ${b}`, `${a} ${c}`];
  const task = tinyTask(lm, { template: '{input} {prompt}', labelWords });
  const environment = new Environment({
    task,
    taskLm: lm,
    examples: task.train,
    reward: rewards['log-prob'],
    precision: 'float32',
  });
  await expect(PromptGradient.load(environment)).rejects.toThrow(/begin with the same token/);
  await environment.close();
});
