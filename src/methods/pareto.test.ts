import { describe, expect, it } from 'vitest';
import { createRng } from '../util/rng.ts';
import { drawLeader, paretoFront } from './pareto.ts';

const candidate = (name: string, ...scores: number[]) => ({
  name,
  scores: new Map(scores.map((score, example) => [example, score])),
});
const names = (front: ReturnType<typeof paretoFront<ReturnType<typeof candidate>>>) =>
  front.map(({ candidate: { name }, wins }) => `${name} ${wins}`);

describe('the front', () => {
  it('keeps what is best on at least one example, whatever its mean', () => {
    const front = paretoFront([
      candidate('even', 0.6, 0.6, 0.6),
      candidate('first', 1, 0, 0),
      candidate('none', 0.5, 0.5, 0.5),
    ]);
    expect(names(front)).toEqual(['even 2', 'first 1']);
  });

  it('leaves out what is best only where another one is, too', () => {
    const front = paretoFront([
      candidate('part', 1, 0, 0),
      candidate('more', 1, 1, 0),
      candidate('last', 0, 0, 1),
    ]);
    expect(names(front)).toEqual(['more 2', 'last 1']);
  });

  it('compares on the examples that have a score', () => {
    const gap = { name: 'gap', scores: new Map([[1, 0.9]]) };
    expect(names(paretoFront([gap, candidate('all', 0.2, 0.3)]))).toEqual(['gap 1', 'all 1']);
  });
});

it('draws by the number of examples that each is best on', () => {
  const front = paretoFront([candidate('often', 1, 1, 1, 0), candidate('seldom', 0, 0, 0, 1)]);
  const rng = createRng('draws');
  const drawn = Array.from({ length: 4000 }, () => drawLeader(front, rng).name);
  const share = drawn.filter((name) => name === 'often').length / drawn.length;
  expect(share).toBeGreaterThan(0.72);
  expect(share).toBeLessThan(0.78);
});
