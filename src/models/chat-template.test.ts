import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { packageRoot } from '../util/package-root.ts';
import { type ChatMessage, chatOf, compileTemplate } from './chat-template.ts';
import { loadTokenizerJson } from './tokenizer-json.ts';

interface Fixture {
  readonly templates: Record<string, string>;
  readonly tokens: Record<string, string>;
  readonly cases: { name: string; messages: ChatMessage[]; expected: string | { error: string } }[];
}

const path = join(packageRoot(), 'test', 'fixtures', 'chat.json');
const { templates, tokens, cases } = JSON.parse(readFileSync(path, 'utf8')) as Fixture;
const user = (content: string) => [{ role: 'user', content }];

describe('templates render as transformers renders them', () => {
  it.each(cases.map((one, i) => ({ ...one, i })))('$i $name', ({ name, messages, expected }) => {
    const render = compileTemplate(templates[name]!, 'a model');
    if (typeof expected === 'string') expect(render(messages, tokens)).toBe(expected);
    else expect(() => render(messages, tokens)).toThrow(expected.error);
  });
});

describe('a template of ill will', () => {
  it.each([
    [
      'runs for ever',
      '{% for i in range(90000) %}{% for j in range(90000) %}{% endfor %}{% endfor %}',
      /timed out/,
    ],
    ['counts to a thousand million', '{% for i in range(1000000000) %}{% endfor %}', /a range of/],
    ['is no template', '{% for %}', /cannot take these messages/],
    ['knows names that are none', '{{ process.exit(3) }}', /cannot take these messages/],
  ])('%s', (_, source, message) => {
    expect(() => compileTemplate(source, 'a model')(user('x'))).toThrow(message);
  });
});

describe('a model', () => {
  const tokenizer = (config: object) =>
    loadTokenizerJson(
      {
        added_tokens: [{ id: 0, content: '<s>', special: true }],
        pre_tokenizer: { type: 'WhitespaceSplit' },
        model: {
          type: 'WordLevel',
          vocab: { '<s>': 0, say: 1, hi: 2, '<unk>': 3 },
          unk_token: '<unk>',
        },
      },
      config,
    );

  it('reads special tokens that its template writes', () => {
    const template = "{{ bos_token }}{{ messages[0]['content'] }}";
    const chat = chatOf({
      name: 'm',
      tokenizer: tokenizer({ bos_token: '<s>', chat_template: template }),
    });
    expect(chat.isPlain).toBe(false);
    expect(chat.text(user('say hi'))).toBe('<s>say hi');
    expect(chat.ids(user('say hi'))).toEqual([0, 1, 2]);
  });

  it('without a template gets the texts alone', () => {
    const chat = chatOf({ name: 'm', tokenizer: tokenizer({}) });
    expect(chat.isPlain).toBe(true);
    expect(chat.text([...user(' say '), ...user('hi')])).toBe('say\n\nhi\n');
  });
});
