/**
 * Weight files: dequantisation bit for bit as the gguf Python package does it, GGUF files that give
 * the logits of their checkpoints, and files that lie about themselves.
 */
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { openGguf } from '../src/models/gguf.ts';
import { loadScorer } from '../src/models/programs.ts';
import { distance, expectedOf, fixtures, readFloats, tinyModels } from './tiny-models.ts';

const folder = join(fixtures, 'gguf');
const models = tinyModels();

afterAll(() => models.close());

const blocks = await openGguf(join(folder, 'blocks.gguf'));
const expectedBlocks = await readFloats(join(folder, 'blocks.f32'));
let start = 0;
const types = [...blocks.tensors.values()].map((tensor) => {
  const size = tensor.shape.reduce((a, b) => a * b, 1);
  start += size;
  return { type: tensor.type, expected: expectedBlocks.slice(start - size, start) };
});

describe('dequantisation', () => {
  it.each(types)('$type is bit-equal with the gguf package', async ({ type, expected }) => {
    const values = await blocks.read(type);
    expect(values.length).toBe(expected.length);
    expect(bitsOf(values)).toEqual(bitsOf(expected));
  });

  it('covers every type that GGUF files may have', () => {
    const names = types.map(({ type }) => type).join(' ');
    expect(names).toBe('F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q4_K Q5_K Q6_K');
  });
});

describe('a GGUF file gives the logits of its checkpoint', () => {
  it.each(['llama3-rope', 'qwen2', 'gemma3', 'gpt2'])('%s', async (name) => {
    const model = await models.open(join('gguf', `${name}.gguf`));
    const { sequences, logits } = await expectedOf(name);
    const scorer = await loadScorer(model, 'logits');
    const rows = sequences.flatMap((ids) => ids.map(() => ids));
    const places = sequences.flatMap((ids) => ids.map((_, place) => place));
    expect(distance(await scorer.run(rows, places), logits)).toBeLessThan(1e-4);
  });
});

function bitsOf(values: Float32Array<ArrayBuffer>): Uint32Array {
  return new Uint32Array(values.buffer);
}
