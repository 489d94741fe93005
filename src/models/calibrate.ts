/**
 * How large each input channel of each linear layer gets on ordinary and on random text: what int8
 * smooths by. First positions are left out: they hold values far beyond all others, and the search
 * computes them in float32 with the prefixes.
 */
import {
  abs,
  floats,
  gather,
  input,
  int64,
  reduceMax,
  reshape,
  type Tensor,
} from '../tensor/index.ts';
import { createRng } from '../util/rng.ts';
import { embed, type Weights } from './architecture.ts';
import { sequences } from './attention.ts';
import type { Maxima } from './int8-weights.ts';
import type { LanguageModel } from './language-model.ts';

const TEXTS = [
  'The delivery came two days late, but the support team answered within minutes and was kind.',
  'An absorbing, moving and often funny film, even though its second half loses its way.',
  'Question: What is the capital of France? Answer: Paris. Question: And of Japan? Answer: Tokyo.',
  'In 2019 the company sold 4,300 units, which is 12% more than in the year before.',
  'def mean(values):\n    return sum(values) / len(values)\n\nprint(mean([1, 2, 3]))',
  'Classify the sentiment of the following review as positive or negative. Overall, it was terrible',
];
const RANDOM_ROWS = 10;
const LENGTH = 24;
const SKIPPED = 2;

/** @throws EngineError when the engine refuses the program */
export async function calibrate(model: LanguageModel): Promise<Maxima> {
  const rows = calibrationRows(model);
  const length = rows[0]!.length;
  const weights = await model.weights('float32');
  const ids = input('ids', ['B', 'T'], 'int64');
  const positions = input('positions', ['B', 'T'], 'int64');
  const lengths = input('lengths', ['B'], 'int64');
  const counted = input('counted', ['S'], 'int64');
  const seen: Record<string, Tensor> = {};
  const watching: Weights = {
    ...weights,
    linear(x, name) {
      seen[name] = reduceMax(abs(gather(x, counted)), [0]);
      return weights.linear(x, name);
    },
  };
  const flat = (t: Tensor) => reshape(t, ['B*T']);
  const attend = sequences(model.config, ['B', 'T'], {
    causal: model.config.kind === 'causal',
    lengths,
  });
  const { architecture } = model;
  const x = embed(architecture, watching, { ids: flat(ids), positions: flat(positions) });
  architecture.head(watching, architecture.forward(watching, x, flat(positions), attend));
  const executable = await model.load(seen, { prepack: false });
  const B = rows.length;
  const index = Float64Array.from({ length: B * length }, (_, i) => i);
  const feeds = {
    ids: int64(rows.flat(), [B, length]),
    positions: int64(
      index.map((i) => i % length),
      [B, length],
    ),
    lengths: int64(rows.map(() => length)),
    counted: int64(index.filter((i) => i % length >= SKIPPED)),
  };
  const needs = new Set(executable.program.inputs.map(({ name }) => name));
  const out = await executable.run(
    Object.fromEntries(Object.entries(feeds).filter(([name]) => needs.has(name))),
  );
  await executable.unload();
  return new Map(Object.keys(seen).map((name) => [name, floats(out[name])]));
}

/** Rows of ids [B][LENGTH]: texts, each followed by random tokens, and rows of random tokens alone. */
function calibrationRows({ tokenizer, config }: LanguageModel): number[][] {
  const rng = createRng(20221118);
  const length = Math.min(LENGTH, config.contextLength);
  const random = (count: number) =>
    Array.from({ length: Math.max(0, count) }, () => rng.integer(config.vocabulary));
  const texts = [...TEXTS, ...Array.from({ length: RANDOM_ROWS }, () => '')];
  return texts.map((text) => {
    const ids = tokenizer.encode(text, { addSpecialTokens: true }).slice(0, length - 6);
    return [...ids, ...random(length - ids.length)];
  });
}
