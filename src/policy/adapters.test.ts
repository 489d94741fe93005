import { describe, expect, it } from 'vitest';
import { rowOf, tableAdapter } from './adapters.ts';

describe('table', () => {
  it('has one row for each beginning, without gaps', () => {
    const rows = [rowOf([], 3)];
    for (let a = 0; a < 3; a++) rows.push(rowOf([a], 3));
    for (let a = 0; a < 3; a++) for (let b = 0; b < 3; b++) rows.push(rowOf([a, b], 3));
    expect(rows).toEqual(Array.from({ length: 13 }, (_, i) => i));
    expect(tableAdapter(3, 3).shapes).toEqual({ table: [13, 3] });
  });

  it('says how large it would be when it cannot be held', () => {
    expect(() => tableAdapter(300, 3)).toThrow(
      'adapter table: 300 words and 3 tokens make 90301 states of 300 logits, a table holds 4000000 numbers, set fewer words or tokens or take the mlp',
    );
  });
});
