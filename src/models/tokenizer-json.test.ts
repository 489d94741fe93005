import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { WeightsError } from '../errors.ts';
import { loadTokenizerFolder, loadTokenizerJson } from './tokenizer-json.ts';

const BYTE_LEVEL = { type: 'ByteLevel', add_prefix_space: false, use_regex: true };

/** A byte-level tokenizer of a few tokens, with parts put in place of the usual ones. */
function tiny(parts: Record<string, unknown> = {}, vocab: Record<string, number> = {}) {
  return {
    added_tokens: [{ id: 9, content: '<|end|>', special: true }],
    pre_tokenizer: BYTE_LEVEL,
    decoder: BYTE_LEVEL,
    model: {
      type: 'BPE',
      vocab: { a: 0, b: 1, Ġ: 2, Ã: 3, '©': 4, ab: 5, Ġab: 6, ...vocab },
      merges: [
        ['a', 'b'],
        ['Ġ', 'ab'],
      ],
    },
    ...parts,
  };
}

const problem = (spec: unknown, config?: unknown) => () => loadTokenizerJson(spec, config);

describe('a tokenizer', () => {
  const tokenizer = loadTokenizerJson(tiny(), {
    eos_token: '<|end|>',
    pad_token: { content: '<pad>', lstrip: true },
    chat_template: [{ name: 'default', template: 'hello' }],
  });

  it('gives no ids for no text', () => {
    expect(tokenizer.encode('')).toEqual([]);
    expect(tokenizer.decode([])).toBe('');
  });

  it('merges best ranks first and finds special tokens in text', () => {
    expect(tokenizer.encode('ab ab<|end|>a')).toEqual([5, 6, 9, 0]);
  });

  it('leaves special tokens out of text unless asked', () => {
    expect(tokenizer.decode([5, 9, 6])).toBe('ab ab');
    expect(tokenizer.decode([5, 9], { keepSpecialTokens: true })).toBe('ab<|end|>');
  });

  it('shows single tokens as text, parts of a character as U+FFFD', () => {
    expect([6, 3, 9].map((id) => tokenizer.tokenText(id))).toEqual([' ab', '\ufffd', '<|end|>']);
    expect(tokenizer.decode([3, 4])).toBe('é');
  });

  it('knows stored forms, special ids and tokens that only the configuration names', () => {
    expect(tokenizer.idOf('Ġab')).toBe(6);
    expect(tokenizer.idOf(' ab')).toBeUndefined();
    expect([tokenizer.isSpecial(9), tokenizer.isSpecial(6)]).toEqual([true, false]);
    expect(tokenizer.special).toEqual({ eos: 9, pad: 10 });
    expect(tokenizer.size).toBe(11);
    expect(tokenizer.encode('ab <pad>')).toEqual([5, 10]);
    expect(tokenizer.chatTemplate).toBe('hello');
  });

  it('takes half a surrogate pair for U+FFFD', () => {
    const bytes = loadTokenizerJson(tiny({}, { ï: 7, '¿': 8, '½': 11 }));
    expect(bytes.encode('a\ud83d')).toEqual(bytes.encode('a\ufffd'));
    expect(bytes.encode('\ude00')).toEqual([7, 8, 11]);
  });

  it('holds tokens that are names of built-in properties', () => {
    const names = ['__proto__', 'constructor', 'toString'];
    const vocab = JSON.parse('{"__proto__":20,"constructor":21,"toString":22}');
    const spec = {
      model: { type: 'WordLevel', vocab },
      pre_tokenizer: { type: 'WhitespaceSplit' },
    };
    const odd = loadTokenizerJson(spec);
    expect(odd.encode(`${names.join(' ')} valueOf`)).toEqual([20, 21, 22]);
    expect(odd.idOf('hasOwnProperty')).toBeUndefined();
    expect(({} as Record<string, unknown>).polluted).toBeUndefined();
  });

  it('lets the configuration overrule the special tokens around a text', () => {
    const both = {
      eos_token: '<|end|>',
      bos_token: 'ab',
      add_bos_token: true,
      add_eos_token: true,
    };
    const framed = loadTokenizerJson(tiny(), both);
    expect(framed.encode('a', { addSpecialTokens: true })).toEqual([5, 0, 9]);
  });
});

describe('a damaged or hostile tokenizer.json', () => {
  it('is refused with the place and what was expected', () => {
    expect(problem(null)).toThrow('tokenizer.json: expected an object, got null');
    expect(problem({})).toThrow('tokenizer.json: model: expected an object, got nothing');
    expect(problem(tiny({ decoder: { type: 'Magic' } }))).toThrow(
      'tokenizer.json: decoder.type: "Magic" is not supported',
    );
    expect(problem(tiny({}, { c: 2 ** 40 }))).toThrow('expected an integer from 0 to');
    expect(problem(tiny({}, { c: 0 }))).toThrow('two tokens of the vocabulary have the id 0');
    expect(problem(tiny({ added_tokens: [{ id: 1, content: 'x' }] }))).toThrow('id 1 is claimed');
    expect(problem(tiny(), { bos_token: 7 })).toThrow('tokenizer_config.json: bos_token');
  });

  it('may not nest rules without end', () => {
    let rule: unknown = { type: 'NFC' };
    for (let i = 0; i < 5000; i++) rule = { type: 'Sequence', normalizers: [rule] };
    expect(problem(tiny({ normalizer: rule }))).toThrow(WeightsError);
  });

  it('may not blow a text up', () => {
    const double = { type: 'Replace', pattern: { String: 'a' }, content: 'aa' };
    const normalizer = { type: 'Sequence', normalizers: Array(60).fill(double) };
    const tokenizer = loadTokenizerJson(tiny({ normalizer }));
    expect(() => tokenizer.encode('a'.repeat(1000))).toThrow('blow this text up');
  });

  it.each(['(a+)+b', '(a|aa)*b', 'a*a*a*a*b', '(?:a?){50}a{50}b', '(?=(a+)+b)c'])(
    'may not hang with the pattern %s',
    (Regex) => {
      const pre_tokenizer = { type: 'Split', pattern: { Regex }, behavior: 'Isolated' };
      const tokenizer = loadTokenizerJson(tiny({ pre_tokenizer }));
      expect(() => tokenizer.encode('a'.repeat(3000))).toThrow('takes too many steps');
    },
  );

  it.each(['(', '[a', 'a)', '*', '\\', 'a{5,2}', '(?<=a)b', '\\1', '\\p{Nope}', '[b-a]', '()*'])(
    'may not have the pattern %s',
    (Regex) => {
      const pre_tokenizer = { type: 'Split', pattern: { Regex }, behavior: 'Isolated' };
      expect(problem(tiny({ pre_tokenizer }))).toThrow(WeightsError);
    },
  );
});

describe('a tokenizer folder', () => {
  async function folderWith(files: Record<string, string>) {
    const folder = await mkdtemp(join(tmpdir(), 'tokenizer-'));
    for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
    return { folder, [Symbol.asyncDispose]: () => rm(folder, { recursive: true }) };
  }

  it('reads the files beside tokenizer.json, the template file first', async () => {
    await using made = await folderWith({
      'tokenizer.json': JSON.stringify(tiny()),
      'tokenizer_config.json': '{"chat_template": "old"}',
      'special_tokens_map.json': '{"eos_token": "<|end|>"}',
      'chat_template.jinja': 'new',
    });
    const tokenizer = await loadTokenizerFolder(made.folder);
    expect(tokenizer.special).toEqual({ eos: 9 });
    expect(tokenizer.chatTemplate).toBe('new');
  });

  it('says which file is missing, damaged or too large', async () => {
    await using empty = await folderWith({});
    await expect(loadTokenizerFolder(empty.folder)).rejects.toThrow('tokenizer.json is missing');
    await using cut = await folderWith({ 'tokenizer.json': '{"model":' });
    await expect(loadTokenizerFolder(cut.folder)).rejects.toThrow('not valid JSON');
    const template = 'x'.repeat(2 ** 20 + 1);
    await using large = await folderWith({
      'tokenizer.json': JSON.stringify(tiny()),
      'chat_template.jinja': template,
    });
    await expect(loadTokenizerFolder(large.folder)).rejects.toThrow('expected at most 1048576');
  });
});
