import { describe, expect, it } from 'vitest';
import { displayWidth, pad, shellWord, truncate, visible } from './text.ts';

describe('visible', () => {
  it('shows control characters instead of obeying them', () => {
    expect(visible('a\u001b[31mb\nc\td\u0000')).toBe('a␛[31mb⏎c⇥d␀');
    expect(visible('\u009b2J\u202etxt\u2028')).toBe('\\u009b2J\\u202etxt\\u2028');
  });
  it('leaves ordinary text of any script alone', () => {
    expect(visible('naïve 漢字 👩‍👩‍👧 ')).toBe('naïve 漢字 👩‍👩‍👧 ');
  });
});

describe('displayWidth', () => {
  it.each([
    ['abc', 3],
    ['漢字', 4],
    ['한국', 4],
    ['é', 1],
    ['e\u0301', 1],
    ['😀', 2],
    ['👩‍👩‍👧', 2],
    ['❤️', 2],
    ['', 0],
  ])('%s takes %i columns', (text, width) => expect(displayWidth(text)).toBe(width));
});

describe('shellWord', () => {
  it.each([
    ['budget.usd=1', 'budget.usd=1'],
    ['task.template="{input} {prompt}"', `'task.template="{input} {prompt}"'`],
    ['name="it\'s $HOME"', `'name="it'\\''s $HOME"'`],
    ['', "''"],
  ])('%s', (text, word) => expect(shellWord(text)).toBe(word));
});

describe('truncate and pad', () => {
  it('cuts to the width, never through a wide character', () => {
    expect(truncate('漢字漢字', 4)).toBe('漢…');
    expect(truncate('abc', 3)).toBe('abc');
    expect(truncate('abcd', 3)).toBe('ab…');
    expect(truncate('abcd', 0)).toBe('');
  });
  it('pads by columns', () => {
    expect(pad('漢', 4)).toBe('漢  ');
    expect(pad('7', 3, 'left')).toBe('  7');
  });
});
