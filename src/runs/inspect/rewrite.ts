/**
 * Fluent texts that might do what a prompt does. Three sources:
 *
 * - substitution: from left to right, each token stays or gives way to one of its nearest in the
 *   embedding table; a beam keeps the likeliest beginnings, ln P(x_1 … x_t | context);
 * - continuations of the task's description, sampled from the policy LM;
 * - the built-in human prompts whose mean embedding is most like the prompt's.
 */
import type { PromptScore } from '../../environment/index.ts';
import { humanCandidates } from '../../methods/index.ts';
import {
  type EmbeddingTable,
  type LanguageModel,
  loadBrancher,
  loadPrefiller,
  type Tokenizer,
} from '../../models/index.ts';
import { contextIds } from '../../policy/index.ts';
import { quantile } from '../../statistics/index.ts';
import type { Rng } from '../../util/rng.ts';
import { splitScore } from '../measure.ts';
import type { Workbench } from '../workbench.ts';
import { nearestTokens } from './nearest.ts';
import type { FluentRewrite } from './result.ts';
import { type difference, taskReward } from './scores.ts';
import { textOf } from './variants.ts';

/** Texts of each source. */
const EACH = 8;
/** Tokens that one may give way to. */
const NEIGHBOURS = 16;
/** Longer prompts are not substituted: the beam reads every beginning. */
const LONGEST = 32;

/** Rewrites within a limit of perplexity, read after what a policy reads. */
export interface Rewrites {
  readonly texts: readonly string[];
  readonly perplexities: ReadonlyMap<string, number>;
  readonly proposed: number;
  readonly limit: number;
  /** Median of the human prompts: the limit where none is given. */
  readonly humanPerplexity: number;
}

export async function fluentRewrites(
  bench: Workbench,
  prompt: string,
  options: { embeddings: EmbeddingTable; rng: Rng; limit: number | undefined },
): Promise<Rewrites> {
  const meter = await bench.fluency();
  const proposed = await propose(bench, prompt, options);
  const readings = await meter.read(proposed);
  const perplexities = new Map(proposed.map((text, i) => [text, readings[i]!.perplexity]));
  const human = (await meter.read(humanCandidates(bench.task))).map(({ perplexity }) => perplexity);
  const humanPerplexity = quantile(
    human.sort((a, b) => a - b),
    0.5,
  );
  const limit = options.limit ?? humanPerplexity;
  const texts = proposed.filter((text) => perplexities.get(text)! <= limit);
  return { texts, perplexities, proposed: proposed.length, limit, humanPerplexity };
}

/** The rewrite with the highest reward, and what it costs; null where there is none. */
export function bestRewrite(
  { texts, perplexities }: Rewrites,
  scores: ReadonlyMap<string, PromptScore>,
  {
    own,
    compare,
  }: {
    own: PromptScore;
    compare(a: PromptScore, b: PromptScore): ReturnType<typeof difference>;
  },
): FluentRewrite | null {
  const [best] = [...texts].sort((a, b) => taskReward(scores.get(b)!) - taskReward(scores.get(a)!));
  if (best === undefined) return null;
  const score = scores.get(best)!;
  return {
    prompt: best,
    score: splitScore(score),
    reward: taskReward(score),
    perplexity: perplexities.get(best)!,
    ...compare(score, own),
  };
}

/** Distinct texts other than the prompt, whatever their perplexity. */
async function propose(
  bench: Workbench,
  prompt: string,
  { embeddings, rng }: { embeddings: EmbeddingTable; rng: Rng },
): Promise<string[]> {
  const lm = await bench.policyLm();
  const ids = lm.tokenizer.encode(` ${prompt}`);
  const substituted =
    ids.length > LONGEST
      ? []
      : await substitute(lm, ids, { embeddings, context: await bench.policyContext() });
  const policy = await bench.policy({ prior: 1, adapterWidth: 8 }, rng);
  const sampled = await policy.sample({
    count: EACH,
    tokens: Math.min(64, ids.length),
    temperature: 0.8,
    topK: 50,
    rng,
  });
  await policy.close();
  const human = await nearestTexts(humanCandidates(bench.task), ids, { embeddings, lm });
  const texts = [
    ...substituted.map((written) => textOf(written, lm.tokenizer)),
    ...sampled.map((episode) => textOf(episode.ids, lm.tokenizer)),
    ...human,
  ];
  return [...new Set(texts)].filter((text) => text !== prompt && text.trim() !== '');
}

/** Likeliest sequences of tokens that are near the given ones, the sequence itself left out. */
export async function substitute(
  lm: LanguageModel,
  ids: readonly number[],
  { embeddings, context }: { embeddings: EmbeddingTable; context: string },
): Promise<number[][]> {
  const choices = await choicesOf(lm.tokenizer, ids, embeddings);
  const options = { precision: 'float32', prepack: false } as const;
  const prefiller = await loadPrefiller(lm, options);
  const brancher = await loadBrancher(lm, 'logProbs', options);
  const before = contextIds(lm, context);
  const cache = await prefiller.run([before.slice(0, -1)]);
  let beam = [{ ids: [] as number[], logProb: 0 }];
  for (const choice of choices) {
    const rows = beam.map((b) => [before.at(-1)!, ...b.ids]);
    const logProbs = await brancher.run(cache, rows); // [1, N, V]
    const V = logProbs.length / rows.length;
    const next = beam.flatMap((b, n) =>
      choice.map((id) => ({ ids: [...b.ids, id], logProb: b.logProb + logProbs[n * V + id]! })),
    );
    beam = next.sort((a, b) => b.logProb - a.logProb).slice(0, EACH);
  }
  await lm.engine.drop(Object.values(cache.tensors));
  await brancher.unload();
  await prefiller.unload();
  return beam.map((b) => b.ids).filter((found) => found.some((id, t) => id !== ids[t]));
}

/** For each token: itself and the nearest that are printable and begin, or not, with a space as it does. */
async function choicesOf(
  tokenizer: Tokenizer,
  ids: readonly number[],
  embeddings: EmbeddingTable,
): Promise<number[][]> {
  const isSpaced = (id: number) => tokenizer.tokenText(id).startsWith(' ');
  const nearest = await nearestTokens(ids, embeddings, {
    count: NEIGHBOURS,
    accept: (id, of) =>
      !tokenizer.isSpecial(id) &&
      isSpaced(id) === isSpaced(of) &&
      /^ ?[\p{L}\p{N}\p{P}\p{S}]+$/u.test(tokenizer.tokenText(id)) &&
      !tokenizer.tokenText(id).includes('\ufffd'),
  });
  return ids.map((id, t) => [id, ...nearest[t]!.map((near) => near.id)]);
}

/** The texts whose mean embedding has the highest cosine with that of the ids. */
async function nearestTexts(
  texts: readonly string[],
  ids: readonly number[],
  { embeddings, lm }: { embeddings: EmbeddingTable; lm: LanguageModel },
): Promise<string[]> {
  const mean = async (of: readonly number[]) => {
    const rows = await embeddings.directions(of);
    const D = rows.length / of.length;
    const sum = new Float64Array(D);
    rows.forEach((x, i) => {
      sum[i % D]! += x;
    });
    return sum;
  };
  const own = await mean(ids);
  const scored: { text: string; cosine: number }[] = [];
  for (const text of texts) {
    scored.push({ text, cosine: cosine(own, await mean(lm.tokenizer.encode(` ${text}`))) });
  }
  return scored
    .sort((a, b) => b.cosine - a.cosine)
    .slice(0, EACH)
    .map(({ text }) => text);
}

function cosine(a: Float64Array, b: Float64Array): number {
  let [ab, aa, bb] = [0, 0, 0];
  a.forEach((x, i) => {
    ab += x * b[i]!;
    aa += x * x;
    bb += b[i]! * b[i]!;
  });
  return ab / Math.sqrt(aa * bb || 1);
}
