import { describe, expect, it } from 'vitest';
import { parseMessageTemplate, questionTemplate, renderMessages } from './message-template.ts';

const render = (source: string, values: Partial<Parameters<typeof renderMessages>[1]> = {}) =>
  renderMessages(parseMessageTemplate(source), { prompt: 'P', input: 'I', ...values });

describe('messages', () => {
  it('are one of the user where no line begins another', () => {
    expect(render('{prompt}\n\n{input}')).toEqual([{ role: 'user', content: 'P\n\nI' }]);
  });

  it('begin at their headings, and are left out where they come out empty', () => {
    expect(render(questionTemplate, { question: 'Q' })).toEqual([
      { role: 'system', content: 'P' },
      { role: 'user', content: 'I\n\nQ' },
    ]);
    expect(render(questionTemplate, { prompt: '' })).toEqual([{ role: 'user', content: 'I' }]);
  });

  it('hold a conversation before the last one, or where its heading stands', () => {
    const conversation = [{ role: 'assistant', content: 'before' }] as const;
    const roles = (source: string) =>
      render(source, { conversation }).map(({ content }) => content);
    expect(roles('[system]\n{prompt}\n[user]\n{input}')).toEqual(['P', 'before', 'I']);
    expect(roles('[conversation]\n[user]\n{input} {prompt}')).toEqual(['before', 'I P']);
  });

  it('never read again what fills a slot, and know braces', () => {
    expect(render('{{x}} {prompt} {input}', { input: '{prompt}' })).toEqual([
      { role: 'user', content: '{x} P {prompt}' },
    ]);
  });

  it.each([
    ['{input}', /the slot \{prompt\} is missing/],
    ['{prompt}', /neither \{input\} nor \{question\}/],
    ['{prompt} {input} {input}', /\{input\} stands there twice/],
    ['{prompt} {inptu}', /unknown slot \{inptu\}/],
    ['{prompt} {input} }', /a single \}/],
    ['[user]\n{input}\n[system]\n{prompt}', /a \[system\] message must be the first/],
  ])('%j is refused', (source, message) => {
    expect(() => parseMessageTemplate(source)).toThrow(message);
  });
});
