/** Texts from tiny checkpoints: those that transformers writes, whoever is in the batch beside them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { type Generator, loadGenerator } from '../src/models/generate.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import { freshLora, loraShapes } from '../src/models/lora.ts';
import { loadScorer } from '../src/models/programs.ts';
import { createRng } from '../src/util/rng.ts';
import { fixtures, tinyModels } from './tiny-models.ts';

interface Text {
  readonly prompt: number[];
  readonly ids: number[];
  readonly logProbs: number[];
}

const expected = JSON.parse(readFileSync(join(fixtures, 'generation.json'), 'utf8')) as Record<
  string,
  Text[]
>;
const models = tinyModels();
afterAll(() => models.close());

const openTiny = (name: string) => models.open(`models/${name}`);
const GREEDY = { temperature: 0, endIds: [] };

async function withGenerator<T>(
  model: LanguageModel,
  use: (generator: Generator) => Promise<T>,
  options: Parameters<typeof loadGenerator>[1] = {},
): Promise<T> {
  const generator = await loadGenerator(model, options);
  const result = await use(generator);
  await generator.unload();
  return result;
}

/** ln P of each of `ids` after the prompt, from whole sequences: nothing is cached. */
async function uncached(model: LanguageModel, { prompt, ids }: Pick<Text, 'prompt' | 'ids'>) {
  const scorer = await loadScorer(model, 'logProbs');
  const V = model.config.vocabulary;
  const rows = ids.map((_, t) => [...prompt, ...ids.slice(0, t)]);
  const values = await scorer.run(
    rows,
    rows.map((row) => row.length - 1),
  );
  await scorer.unload();
  return ids.map((id, t) => values[t * V + id]!);
}

describe.each(Object.keys(expected))('%s', (name) => {
  it('writes greedily what transformers writes, all prompts in one batch', async () => {
    const texts = expected[name]!;
    const requests = texts.map(({ prompt }) => ({ prompt, maxTokens: 20, seed: 1 }));
    const got = await withGenerator(await openTiny(name), (g) => g.run(requests, GREEDY));
    expect(got.map(({ ids }) => ids)).toEqual(texts.map(({ ids }) => ids));
    got.forEach((text, i) => {
      text.logProbs.forEach((p, t) => {
        expect(Math.abs(p - texts[i]!.logProbs[t]!)).toBeLessThan(1e-4);
      });
    });
  });

  it('gives sampled tokens the log-probabilities of the model without a cache', async () => {
    const model = await openTiny(name);
    const { prompt } = expected[name]![0]!;
    const [text] = await withGenerator(model, (g) =>
      g.run([{ prompt, maxTokens: 20, seed: 3 }], { endIds: [] }),
    );
    const whole = await uncached(model, { prompt, ids: [...text!.ids] });
    expect(text!.ids.length).toBe(20);
    whole.forEach((p, t) => {
      expect(Math.abs(p - text!.logProbs[t]!)).toBeLessThan(1e-4);
    });
  });
});

describe('batches', () => {
  const prompts = expected.llama!.map(({ prompt }) => prompt);
  /** Seven samples of the first prompt, and one or two of the others. */
  const requests = [0, 0, 1, 0, 2, 0, 0, 2, 0, 0].map((p, i) => ({
    prompt: prompts[p]!,
    maxTokens: 5 + ((3 * i) % 11),
    seed: i,
  }));

  it.each([
    { temperature: 1 },
    { temperature: 0.7, topK: 9 },
    { temperature: 1.3, topP: 0.6 },
    { temperature: 1, minP: 0.2 },
  ])('write the same texts in any company: %j', async (sampling) => {
    const model = await openTiny('llama');
    const together = await withGenerator(model, (g) => g.run(requests, sampling));
    const alone = await withGenerator(model, async (g) => {
      const out = [];
      for (const request of requests) out.push(...(await g.run([request], sampling)));
      return out;
    });
    expect(together.map(({ ids }) => ids)).toEqual(alone.map(({ ids }) => ids));
    expect(new Set(together.map(({ ids }) => ids.join())).size).toBeGreaterThan(7);
    const small = { mostRows: 3, cacheBytes: 40_000 };
    const divided = await withGenerator(model, (g) => g.run(requests, sampling), small);
    expect(divided.map(({ ids }) => ids)).toEqual(together.map(({ ids }) => ids));
  });

  it('end each text by itself', async () => {
    const model = await openTiny('llama');
    // The id that the first text has sixth ends texts, wherever it comes.
    const [first] = expected.llama!;
    const end = first!.ids[5]!;
    const greedy = expected.llama!.map(({ prompt }) => ({ prompt, maxTokens: 20, seed: 0 }));
    const got = await withGenerator(model, (g) => g.run(greedy, { temperature: 0, endIds: [end] }));
    expected.llama!.forEach(({ ids }, i) => {
      const at = ids.indexOf(end);
      expect(got[i]!.ids).toEqual(at < 0 ? ids : ids.slice(0, at));
      expect(got[i]!.finish).toBe(at < 0 ? 'length' : 'stop');
    });
    expect(got[0]!.ids.length).toBeLessThan(6);
  });

  it('end a text before a stop text', async () => {
    const model = await openTiny('llama');
    const { prompt, ids } = expected.llama![0]!;
    const stop = model.tokenizer.decode([ids[4]!]);
    const [got] = await withGenerator(model, (g) =>
      g.run([{ prompt, maxTokens: 20, seed: 0, stop: [stop] }], GREEDY),
    );
    const whole = model.tokenizer.decode(ids);
    expect(got!.text).toBe(whole.slice(0, whole.indexOf(stop)));
    expect(got!.finish).toBe('stop');
  });

  it('are told as they are written: before the last token, whole in the end', async () => {
    const model = await openTiny('llama');
    const stops = requests.map(({ prompt }, i) => (i % 2 ? [model.tokenizer.decode(prompt.slice(-1))] : [])); // biome-ignore format: one value
    const some = requests.map((request, i) => ({ ...request, stop: stops[i] }));
    const pieces = some.map((): string[] => []);
    // What happens to the first text, in order: a token is drawn, or a piece is told.
    const order: string[] = [];
    const got = await withGenerator(model, (g) =>
      g.run(some, {
        temperature: 1,
        onText: (at, piece) => {
          pieces[at]!.push(piece);
          if (at === 0) order.push('told');
        },
        isWanted: (at) => {
          if (at === 0) order.push('drawn');
          return true;
        },
      }),
    );
    expect(pieces.map((all) => all.join(''))).toEqual(got.map(({ text }) => text));
    expect(order.indexOf('told')).toBeLessThan(order.lastIndexOf('drawn'));
    expect(pieces.flat()).not.toContain('');
  });

  it('end where nobody wants them any more, the others going on', async () => {
    const model = await openTiny('llama');
    const asked: number[] = [];
    const [first, second] = await withGenerator(model, (g) =>
      g.run(requests.slice(0, 2), {
        endIds: [],
        isWanted: (at) => {
          asked.push(at);
          return at === 1 || asked.filter((one) => one === 0).length < 3;
        },
      }),
    );
    expect(first!.ids).toHaveLength(3);
    expect(second!.ids).toHaveLength(requests[1]!.maxTokens);
  });

  it('say how long a request is that the window does not hold', async () => {
    const model = await openTiny('llama');
    const request = { prompt: prompts[0]!, maxTokens: 100, seed: 0 };
    await expect(withGenerator(model, (g) => g.run([request]))).rejects.toThrow(
      /107 tokens, the context window holds 64/,
    );
  });
});

it('draws words as often as the model says', async () => {
  const model = await openTiny('llama');
  const { prompt } = expected.llama![0]!;
  const count = 3000;
  const requests = Array.from({ length: count }, (_, seed) => ({ prompt, maxTokens: 1, seed }));
  const texts = await withGenerator(model, (g) => g.run(requests, { endIds: [] }));
  const scorer = await loadScorer(model, 'logProbs');
  const logProbs = await scorer.run([prompt], [prompt.length - 1]);
  await scorer.unload();
  const seen = new Float64Array(model.config.vocabulary);
  for (const { ids } of texts) seen[ids[0]!]! += 1;
  // Pearson's statistic over words expected five times or more: its mean is their number.
  let [statistic, cells] = [0, 0];
  logProbs.forEach((logProb, id) => {
    const wanted = count * Math.exp(logProb);
    if (wanted < 5) return;
    statistic += (seen[id]! - wanted) ** 2 / wanted;
    cells++;
  });
  expect(cells).toBeGreaterThan(10);
  expect(statistic).toBeLessThan(cells + 4 * Math.sqrt(2 * cells));
});

describe('adapters', () => {
  const lora = { rank: 2, alpha: 4, layers: 'all' } as const;

  it('are many over one base, and change what is written', async () => {
    const model = await openTiny('llama');
    const shapes = loraShapes(model.architecture, model.config, lora);
    const fresh = freshLora(shapes, createRng(1));
    const other = Object.fromEntries(
      Object.entries(fresh).map(([name, values]) => [name, values.map((x, i) => x + Math.sin(i))]),
    );
    const { prompt, ids } = expected.llama![0]!;
    const request = { prompt, maxTokens: 20, seed: 0 };
    await withGenerator(
      model,
      async (g) => {
        const [plain] = await g.run([request], { ...GREEDY, adapter: fresh });
        expect(plain!.ids).toEqual(ids);
        const [changed] = await g.run([request], { ...GREEDY, adapter: other });
        expect(changed!.ids).not.toEqual(ids);
        const [again] = await g.run([request], { ...GREEDY, adapter: fresh });
        expect(again!.ids).toEqual(ids);
      },
      { lora },
    );
  });
});

it('follows float32 with 8-bit weights', async () => {
  const model = await openTiny('llama');
  const { prompt, ids } = expected.llama![0]!;
  const requests = [{ prompt, maxTokens: 12, seed: 0 }];
  const [text] = await withGenerator(model, (g) => g.run(requests, GREEDY), {
    precision: 'int8-blocks',
  });
  const whole = await uncached(model, { prompt, ids: [...text!.ids] });
  const worst = Math.max(...whole.map((p, t) => Math.abs(p - text!.logProbs[t]!)));
  expect(worst).toBeGreaterThan(0);
  expect(worst).toBeLessThan(0.15);
  expect(ids.slice(0, 3)).toEqual(text!.ids.slice(0, 3));
});
