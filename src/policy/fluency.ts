/**
 * Fluency: how likely a text is under the policy LM, read after a context.
 *
 *   PPL(x | c) = exp( −(1/T) Σ_t ln P(x_t | c, x_1 … x_{t−1}) ),   natural logarithm
 *
 * and what it costs in the reward: w · ln PPL, the mean surprise of a token in nats times a weight.
 * Nonsense wins rewards: RLPrompt's prompts had a perplexity of 254,000, and 82 when the policy was held
 * to likely words, at the price of 15 points of its style score (arXiv 2205.12548).
 */
import {
  type Charge,
  type Fluency,
  noRecorder,
  packDoubles,
  type Recorder,
  unpackDoubles,
} from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { type Beginnings, type Likelihood, loadLikelihood } from '../models/likelihood.ts';
import { contextIds } from './context.ts';

/** A text as the LM reads it. */
export interface Reading {
  readonly ids: readonly number[];
  /** ln P of each token. */
  readonly logProbs: Float32Array;
  readonly perplexity: number;
}

/** exp of the mean negative log-probability; 1 where there are no tokens. */
export function perplexityOf(logProbs: ArrayLike<number>): number {
  let sum = 0;
  for (let t = 0; t < logProbs.length; t++) sum += logProbs[t]!;
  return logProbs.length === 0 ? 1 : Math.exp(-sum / logProbs.length);
}

/** Readings kept: a search meets the same prompts again. */
const KEPT = 100_000;

/** Reads texts after one context; every text is read once. */
export class FluencyMeter {
  readonly lm: LanguageModel;
  private readonly likelihood: Likelihood;
  private readonly context: Beginnings;
  private readonly known = new Map<string, Reading>();

  private constructor(lm: LanguageModel, likelihood: Likelihood, context: Beginnings) {
    this.lm = lm;
    this.likelihood = likelihood;
    this.context = context;
  }

  /** @throws ConfigError for a masked LM, which reads no text from left to right */
  static async open(lm: LanguageModel, { context }: { context: string }): Promise<FluencyMeter> {
    if (lm.config.kind === 'masked') {
      throw new ConfigError(
        `policyLm: ${lm.name} is a masked LM and cannot tell how likely a text is, name a causal one`,
      );
    }
    const likelihood = await loadLikelihood(lm);
    return new FluencyMeter(lm, likelihood, await likelihood.begin([contextIds(lm, context)]));
  }

  /** Texts as they would go on after the context. */
  async read(texts: readonly string[]): Promise<Reading[]> {
    const found = new Map<string, Reading>();
    const missing = new Map<string, readonly number[]>();
    for (const text of texts) {
      const known = this.known.get(text);
      if (known) found.set(text, known);
      else missing.set(text, text === '' ? [] : this.lm.tokenizer.encode(` ${text}`));
    }
    const written = [...missing].filter(([, ids]) => ids.length > 0);
    const [values = []] =
      written.length === 0
        ? []
        : await this.likelihood.run(
            this.context,
            written.map(([, ids]) => ids),
          );
    const logProbs = new Map(written.map(([text], i) => [text, values[i]!]));
    for (const [text, ids] of missing) {
      const of = logProbs.get(text) ?? new Float32Array();
      const reading = { ids, logProbs: of, perplexity: perplexityOf(of) };
      found.set(text, reading);
      this.known.set(text, reading);
      if (this.known.size > KEPT) this.known.delete(this.known.keys().next().value!);
    }
    return texts.map((text) => found.get(text)!);
  }

  /** Log-probabilities of ids (at least one) after each of some other beginnings. */
  async after(beginnings: readonly string[], ids: readonly number[]): Promise<Float32Array[]> {
    const out: Float32Array[] = [];
    for (let i = 0; i < beginnings.length; i += 16) {
      const begun = await this.likelihood.begin(
        beginnings.slice(i, i + 16).map((text) => contextIds(this.lm, text)),
      );
      for (const [logProbs] of await this.likelihood.run(begun, [ids])) out.push(logProbs!);
      await this.likelihood.drop(begun);
    }
    return out;
  }

  async close(): Promise<void> {
    await this.likelihood.drop(this.context);
    await this.likelihood.unload();
  }
}

export interface FluencyOptions {
  /** Price of one nat of mean surprise, in units of the reward. */
  readonly weight: number;
  /** Prompts above it are never put forward. */
  readonly maxPerplexity?: number | undefined;
}

/** Price of each nat above the limit, so that a policy finds its way below it. */
const OVER_LIMIT = 10;

/** What texts cost in the reward: w · ln PPL, and steeply more above the limit. */
export function fluencyCharge(
  open: () => Promise<FluencyMeter>,
  { weight, maxPerplexity = Number.POSITIVE_INFINITY }: FluencyOptions,
  recorder: Recorder = noRecorder,
): Charge {
  const met = new Map<string, number>();
  let isFilled = false;
  const fill = () => {
    for (const { key, values } of recorder.known('["fluency",')) {
      isFilled = true;
      const [, texts] = JSON.parse(key) as [string, string[]];
      const found = unpackDoubles(values);
      texts.forEach((text, i) => void met.set(text, found[i]!));
    }
  };
  const read = async (texts: readonly string[]) => {
    const readings = await (await open()).read(texts);
    return packDoubles(readings.map(({ perplexity }) => perplexity));
  };
  const asked = async (texts: readonly string[]) => {
    const isNew = (text: string) => !met.has(text);
    if (!isFilled && texts.some(isNew)) fill();
    const missing = [...new Set(texts)].filter(isNew);
    if (missing.length > 0) {
      const key = JSON.stringify(['fluency', missing]);
      const found = unpackDoubles(await recorder.floats(key, () => read(missing)));
      missing.forEach((text, i) => void met.set(text, found[i]!));
    }
    const perplexities = texts.map((text) => met.get(text)!);
    // The oldest make room; those in hand have just been read.
    for (const text of met.keys()) {
      if (met.size <= KEPT) break;
      met.delete(text);
    }
    return perplexities;
  };
  return async (texts) =>
    (await asked(texts)).map((perplexity): Fluency => {
      const excess = Math.max(0, Math.log(perplexity) - Math.log(maxPerplexity));
      return {
        perplexity,
        penalty: weight * Math.log(perplexity) + OVER_LIMIT * excess,
        isOverLimit: perplexity > maxPerplexity,
      };
    });
}
