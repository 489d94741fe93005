/**
 * How near two texts are in meaning, as far as a model's vectors tell: the cosine of their
 * embeddings, of the nearest gold.
 *
 *   max(0, ⟨u, v⟩ / (|u| |v|))
 *
 * Where the vectors come from is the caller's (a local LM): texts in, one vector each out. A vector of zeros, or
 * one that is not finite, has no direction: null.
 */
import { z } from 'zod';
import { assert } from '../../errors.ts';
import { type Answer, type Embed, type Metric, metric } from './metric.ts';

export const embeddingSimilarity = metric({
  name: 'embedding-similarity',
  summary: "Cosine of the embeddings of output and gold answer, by a model's vectors.",
  options: {
    model: z
      .string()
      .min(1)
      .optional()
      .describe('The local model whose vectors are taken; the default model when left out'),
  },
  needs: ['embed'],
  open: (_, { embed }) => embeddingMetric(embed!),
});

function embeddingMetric(embed: Embed): Metric {
  return {
    name: 'embedding-similarity',
    async score(answers, signal) {
      const vectors = await embedAll(answers, embed, signal);
      return answers.map(({ output, golds }) => {
        const cosines = golds.map((gold) => cosine(vectors.get(output)!, vectors.get(gold)!));
        const known = cosines.filter((value) => value !== null);
        return known.length === 0 ? null : Math.min(1, Math.max(0, ...known));
      });
    },
  };
}

/** Every text once. */
async function embedAll(
  answers: readonly Answer[],
  embed: Embed,
  signal: AbortSignal | undefined,
): Promise<Map<string, Float32Array>> {
  const texts = [...new Set(answers.flatMap(({ output, golds }) => [output, ...golds]))];
  if (texts.length === 0) return new Map();
  const vectors = await embed(texts, signal);
  assert(vectors.length === texts.length, `${texts.length} texts, ${vectors.length} embeddings`);
  return new Map(texts.map((text, i) => [text, vectors[i]!]));
}

function cosine(u: Float32Array, v: Float32Array): number | null {
  assert(u.length === v.length, `embeddings of ${u.length} and ${v.length} numbers`);
  let [product, uu, vv] = [0, 0, 0];
  for (let i = 0; i < u.length; i++) {
    product += u[i]! * v[i]!;
    uu += u[i]! ** 2;
    vv += v[i]! ** 2;
  }
  const value = product / Math.sqrt(uu * vv);
  return Number.isFinite(value) ? value : null;
}
