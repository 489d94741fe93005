/**
 * Writing: tokens a second of one sequence, and of 32 side by side, each behind a prompt of 32 tokens.
 * One sequence is greedy and 128 tokens long, the 32 are sampled at temperature 1 and 64 long, as
 * `llama_cpp_decode.mjs` has it; reading the prompt counts here. `agreement`: of the tokens that one
 * precision writes greedily, the mean |Δ ln P| against whole sequences in float32.
 */
import { cpus } from 'node:os';
import { type Generator, loadGenerator } from '../src/models/generate.ts';
import type { LanguageModel } from '../src/models/language-model.ts';
import { loadLikelihood } from '../src/models/likelihood.ts';
import { openModel } from '../src/runs/open-model.ts';
import { Engine } from '../src/tensor/index.ts';

const PROMPT_TOKENS = 32;
const REPEATS = 3;
const ONE = { sequences: 1, tokens: 128, temperature: 0 };
const MANY = { sequences: 32, tokens: 64, temperature: 1 };
const TEXT =
  'no movement , no yuks , not much of anything . a gob of drivel so sickly sweet , even the eager consumers of moore will retch it up . ';

/** `{"tokensPerSecond": {"one", "many"}, …}` of the faster precision for each, and of both. */
export async function benchGenerate(name: string): Promise<object> {
  const engine = new Engine();
  const lm = await openModel(name, { engine });
  const byPrecision: Record<string, { one: number; many: number; meanDifference: number }> = {};
  for (const precision of ['int8-blocks', 'float32'] as const) {
    const generator = await loadGenerator(lm, { precision });
    byPrecision[precision] = {
      one: await rate(generator, ONE),
      many: await rate(generator, MANY),
      meanDifference: await differenceFromWhole(lm, generator),
    };
    await generator.unload();
  }
  const best = (of: 'one' | 'many') =>
    Math.max(...Object.values(byPrecision).map((figures) => figures[of]));
  const result = {
    tokensPerSecond: { one: best('one'), many: best('many') },
    byPrecision,
    sequences: MANY.sequences,
    promptTokens: PROMPT_TOKENS,
    rssMb: Math.round(process.resourceUsage().maxRSS / 1024),
    threads: engine.threads,
    cpu: cpus()[0]?.model,
  };
  await engine.close();
  return result;
}

function promptOf({ tokenizer }: LanguageModel): number[] {
  return tokenizer.encode(TEXT.repeat(4)).slice(0, PROMPT_TOKENS);
}

/** Tokens a second; the median of several, after one that is not counted. */
async function rate(generator: Generator, { sequences, tokens, temperature }: typeof ONE) {
  const prompt = promptOf(generator.model);
  const requests = Array.from({ length: sequences }, (_, seed) => ({
    prompt,
    seed,
    maxTokens: tokens,
  }));
  const rates: number[] = [];
  for (let i = 0; i <= REPEATS; i++) {
    const start = performance.now();
    await generator.run(requests, { temperature, endIds: [] });
    rates.push((1000 * sequences * tokens) / (performance.now() - start));
  }
  return rates.slice(1).sort((a, b) => a - b)[REPEATS >> 1]!;
}

/** Mean |Δ ln P| of written tokens against the same tokens read in one piece in float32. */
async function differenceFromWhole(lm: LanguageModel, generator: Generator): Promise<number> {
  const prompt = promptOf(lm);
  const [text] = await generator.run([{ prompt, seed: 0, maxTokens: 64 }], {
    temperature: 0,
    endIds: [],
  });
  const likelihood = await loadLikelihood(lm);
  const beginning = await likelihood.begin([prompt]);
  const [[whole]] = (await likelihood.run(beginning, [text!.ids])) as [[Float32Array]];
  await likelihood.drop(beginning);
  await likelihood.unload();
  return text!.logProbs.reduce((sum, p, t) => sum + Math.abs(p - whole[t]!), 0) / whole.length;
}
