/** Against PyTorch and transformers; the numbers are made by test/fixtures/make_optimizers.py. */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { ShapeError } from '../errors.ts';
import {
  adam,
  adamw,
  clipByGlobalNorm,
  globalNorm,
  type Optimizer,
  type Parameters,
  sgd,
} from './optimizers.ts';
import { constantRate, cosineRate, linearRate, type Schedule } from './schedules.ts';

type Lists = Record<string, number[]>;
interface Fixture {
  optimizers: Record<string, { start: Lists; gradients: Lists[]; after: Lists[] }>;
  schedules: Record<string, number[]>;
}
const path = new URL('../../test/fixtures/optimizers.json', import.meta.url);
const fixture = JSON.parse(readFileSync(path, 'utf8')) as Fixture;

const floats = (lists: Lists): Parameters =>
  Object.fromEntries(Object.entries(lists).map(([name, l]) => [name, Float32Array.from(l)]));

const optimizers: Record<string, Optimizer<unknown>> = {
  sgd: sgd({ learningRate: 0.1 }) as Optimizer<unknown>,
  momentum: sgd({ learningRate: 0.1, momentum: 0.9 }) as Optimizer<unknown>,
  adam: adam({ learningRate: 0.05, beta1: 0.8, beta2: 0.95, epsilon: 1e-6 }) as Optimizer<unknown>,
  adamw: adamw({ learningRate: 0.05 }) as Optimizer<unknown>,
  adamwDecay: adamw({ learningRate: 0.05, weightDecay: 0.3 }) as Optimizer<unknown>,
  clipped: sgd({ learningRate: 0.1 }) as Optimizer<unknown>,
};

describe('optimizers', () => {
  it.each(Object.keys(fixture.optimizers))('%s goes as in PyTorch', (name) => {
    const { start, gradients, after } = fixture.optimizers[name]!;
    const optimizer = optimizers[name]!;
    let parameters = floats(start);
    let state = optimizer.init(parameters);
    gradients.forEach((lists, step) => {
      const raw = floats(lists);
      const given = name === 'clipped' ? clipByGlobalNorm(raw, 0.5) : raw;
      [parameters, state] = optimizer.update(parameters, given, state);
      for (const [key, values] of Object.entries(after[step]!)) {
        const scale = Math.max(1, ...values.map(Math.abs));
        values.forEach((expected, i) => {
          expect(Math.abs(parameters[key]![i]! - expected) / scale).toBeLessThan(2e-6);
        });
      }
    });
  });

  it('changes nothing in place, so that a state can be gone back to', () => {
    const optimizer = adamw({ learningRate: 0.1 });
    const start = { w: Float32Array.of(1, 2) };
    const g = { w: Float32Array.of(0.5, -0.5) };
    const [p1, s1] = optimizer.update(start, g, optimizer.init(start));
    const [p2] = optimizer.update(p1, g, s1);
    const [again] = optimizer.update(p1, g, s1);
    expect(start.w).toEqual(Float32Array.of(1, 2));
    expect(again).toEqual(p2);
  });

  it('says which parameter has no gradient', () => {
    const p = { w: Float32Array.of(1, 2) };
    for (const optimizer of Object.values(optimizers)) {
      const state = optimizer.init(p);
      expect(() => optimizer.update(p, {}, state)).toThrow(ShapeError);
      expect(() => optimizer.update(p, { w: Float32Array.of(1) }, state)).toThrow('"w"');
    }
  });

  it('asks a schedule for the rate of each step', () => {
    const optimizer = sgd({ learningRate: (step) => 10 ** -step });
    const p = { w: Float32Array.of(0) };
    const g = { w: Float32Array.of(1) };
    const [p1, s1] = optimizer.update(p, g, optimizer.init(p));
    const [p2] = optimizer.update(p1, g, s1);
    expect(p1.w![0]).toBeCloseTo(-0.1, 6);
    expect(p2.w![0]).toBeCloseTo(-0.11, 6);
  });
});

describe('clipByGlobalNorm', () => {
  it('scales all gradients together, and leaves small ones alone', () => {
    const gradients = { a: Float32Array.of(3), b: Float32Array.of(0, 4) };
    const clipped = clipByGlobalNorm(gradients, 1);
    expect(globalNorm(clipped)).toBeCloseTo(1, 6);
    expect(clipped.a![0]! / clipped.b![1]!).toBeCloseTo(0.75, 6);
    expect(clipByGlobalNorm(gradients, 6)).toBe(gradients);
  });
});

describe('schedules', () => {
  const made: Record<string, Schedule> = {
    constant: constantRate({ peak: 0.3, warmupSteps: 5 }),
    linear: linearRate({ peak: 0.3, warmupSteps: 5, steps: 20 }),
    cosine: cosineRate({ peak: 0.3, warmupSteps: 5, steps: 20 }),
    cosineCold: cosineRate({ peak: 0.3, steps: 20 }),
  };

  it.each(Object.keys(fixture.schedules))('%s goes as in transformers', (name) => {
    const got = fixture.schedules[name]!.map((_, step) => made[name]!(step));
    // A cosine that has run out would rise again there; here it stays at its final rate.
    const expected = fixture.schedules[name]!.map((rate, step) =>
      name.startsWith('cosine') && step > 20 ? 0 : rate,
    );
    got.forEach((rate, step) => {
      expect(rate).toBeCloseTo(expected[step]!, 9);
    });
  });

  it('ends at the final rate', () => {
    for (const schedule of [linearRate, cosineRate]) {
      const rate = schedule({ peak: 1, steps: 10, warmupSteps: 2, final: 0.1 });
      expect([rate(1), rate(2), rate(10), rate(99)].map((r) => r.toFixed(6))).toEqual(
        [0.5, 1, 0.1, 0.1].map((r) => r.toFixed(6)),
      );
    }
  });
});
