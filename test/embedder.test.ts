/** Texts as vectors: the weighted mean of hidden states, and the metric that lives on it. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadEmbedder } from '../src/models/embedder.ts';
import { loadScorer } from '../src/models/programs.ts';
import { parseConfig } from '../src/runs/config.ts';
import { evaluate } from '../src/runs/evaluate.ts';
import { ruleModel } from './support/text-models.ts';
import { fixtures, tinyModels } from './tiny-models.ts';

const tiny = tinyModels();
afterAll(() => tiny.close());

const TEXTS = ['w10 w11 w12 w13', 'w20', '', 'w30 w31'];

it.each(['llama', 'bert'])('are means of %s’s last states, alone as in a batch', async (name) => {
  const model = await tiny.open(`models/${name}`);
  const [embedder, scorer] = [await loadEmbedder(model), await loadScorer(model, 'readout')];
  const vectors = await embedder.run(TEXTS);
  for (const [i, text] of TEXTS.entries()) {
    const ids = model.tokenizer.encode(text);
    const wanted = new Float64Array(model.config.width);
    const weight = (t: number) => (name === 'llama' ? t + 1 : 1);
    const total = ids.reduce((sum, _, t) => sum + weight(t), 0);
    for (let t = 0; t < ids.length; t++) {
      const row = await scorer.run([ids], [t]);
      for (let d = 0; d < wanted.length; d++) wanted[d]! += (weight(t) / total) * row[d]!;
    }
    expect(vectors[i]).toHaveLength(wanted.length);
    for (let d = 0; d < wanted.length; d++) expect(vectors[i]![d]).toBeCloseTo(wanted[d]!, 4);
  }
  expect(vectors[0]).not.toEqual(vectors[1]);
  await embedder.unload();
  await scorer.unload();
});

it('judge answers in a run: the gold itself is 1, other words less', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'whetstone-embed-'));
  try {
    const golds = Array.from({ length: 40 }, (_, i) => `w${10 + i} w${20 + (i % 50)}`);
    const rows = golds.map((gold, i) => JSON.stringify({ text: `say ${i}`, answer: gold }));
    await writeFile(join(folder, 'rows.jsonl'), `${rows.join('\n')}\n`);
    const metric = `{ name: embedding-similarity, model: ${join(fixtures, 'models/llama')} }`;
    const config = parseConfig(`
task: { kind: style-transfer, data: rows.jsonl, input: text, gold: answer, metric: ${metric} }
taskLm: openai-compatible:echo
`);
    const score = async (answer: (gold: string) => string) => {
      const model = ruleModel('echo', (_, user) => answer(golds[Number(user.match(/\d+/)![0])]!));
      const result = await evaluate(
        { config, path: join(folder, 'w.yaml'), folder },
        { subject: { prompt: 'Say it.' }, split: 'test', openText: async () => model },
      );
      expect(result.metric).toBe('embedding-similarity');
      return result.score;
    };
    expect(await score((gold) => gold)).toBeCloseTo(1, 5);
    expect(await score(() => 'w99 w98')).toBeLessThan(0.95);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
