import { expect, it } from 'vitest';
import { createRng } from '../util/rng.ts';
import { Drawer } from './demonstrations.ts';

it('draws sets of all shots where the classes are unequal and little fits', () => {
  const many = Array.from({ length: 8 }, (_, i) => 'b'.repeat(i + 1));
  const drawer = new Drawer({
    groups: [['a'], many],
    shots: 4,
    // The shortest four have eleven characters, spaces included.
    limit: 10,
    rng: createRng(1),
    render: (examples) => ({ text: examples.join(' ') }),
    tokensOf: ({ text }) => text.length,
  });
  const sets = drawer.draw(4);
  expect(sets.length).toBeGreaterThan(0);
  for (const { examples } of sets) expect(examples).toHaveLength(4);
});
