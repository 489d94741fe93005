import { describe, expect, it } from 'vitest';
import { ConfigError } from '../errors.ts';
import {
  causalTemplate,
  checkTemplateFits,
  maskedTemplate,
  parseTemplate,
  renderTemplate,
  splitAtPrompt,
} from './template.ts';

describe('parseTemplate', () => {
  it('reads slots and text', () => {
    expect(parseTemplate('Q: {input}\n{prompt}').parts).toEqual([
      { kind: 'text', text: 'Q: ' },
      { kind: 'slot', slot: 'input' },
      { kind: 'text', text: '\n' },
      { kind: 'slot', slot: 'prompt' },
    ]);
  });

  it('turns doubled braces into braces', () => {
    const template = parseTemplate('{{"x": "{input}"}} {prompt}');
    expect(renderTemplate(template, { input: 'a', prompt: 'b' })).toBe('{"x": "a"} b');
  });

  it.each([
    ['{text} {prompt}', 'unknown slot {text}'],
    ['{input}{ prompt}', 'unknown slot { prompt}'],
    ['{input} now', 'the slot {prompt} is missing'],
    ['{prompt} now', 'the slot {input} is missing'],
    ['', 'the slot {input} is missing'],
    ['{input} {prompt} {input}', 'the slot {input} stands there twice'],
    ['{input} {prompt} }', 'a single }'],
    ['{input {prompt}', 'a single {'],
  ])('refuses %j: %s', (source, reason) => {
    const parse = () => parseTemplate(source);
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(reason);
    expect(parse).toThrow('known are {input}, {prompt}');
  });
});

describe('checkTemplateFits', () => {
  it('wants {mask} for a masked task LM only', () => {
    const causal = parseTemplate(causalTemplate);
    const masked = parseTemplate(maskedTemplate);
    checkTemplateFits(causal, 'causal');
    checkTemplateFits(masked, 'masked');
    expect(() => checkTemplateFits(masked, 'causal')).toThrow('{mask} does not fit');
    expect(() => checkTemplateFits(causal, 'masked')).toThrow('{mask} is missing');
  });
});

describe('renderTemplate', () => {
  it('does not read slots inside the values', () => {
    const template = parseTemplate(causalTemplate);
    expect(renderTemplate(template, { input: 'a {prompt}', prompt: '{input}' })).toBe(
      'a {prompt} {input}',
    );
  });

  it.each([
    ['{input} {prompt}', 'x'],
    ['{prompt} {input}', 'x'],
    ['{input} {prompt} .', 'x .'],
    ['{input}\n{prompt}', 'x\n'],
  ])('%j without a prompt has no double space', (source, text) => {
    expect(renderTemplate(parseTemplate(source), { input: 'x', prompt: '' })).toBe(text);
  });

  it('puts the mask and refuses to do without it', () => {
    const template = parseTemplate(maskedTemplate);
    expect(renderTemplate(template, { input: 'x', prompt: 'p', mask: '<mask>' })).toBe(
      'x p <mask> .',
    );
    expect(() => renderTemplate(template, { input: 'x', prompt: 'p' })).toThrow('no mask token');
  });
});

describe('splitAtPrompt', () => {
  it('gives the texts on both sides', () => {
    const template = parseTemplate('A {input} {prompt} {mask}.');
    expect(splitAtPrompt(template, 'x', '[M]')).toEqual({ before: 'A x ', after: ' [M].' });
  });
});
