/**
 * Tokenizers of Hugging Face: `tokenizer.json`, and beside it `tokenizer_config.json`,
 * `special_tokens_map.json` and `chat_template.jinja`. Ids equal those of the Python packages
 * `tokenizers` and `transformers` (`test/tokenizer-parity.test.ts`). The files are hostile input:
 * sizes are bounded, patterns run on a budget, tokens such as `__proto__` are plain text.
 * Leaves out Unigram models, padding, truncation and pairs of texts.
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { WeightsError } from '../errors.ts';
import { type AddedToken, readAddedToken } from './tokenizer/added-tokens.ts';
import { readDecoder } from './tokenizer/decoders.ts';
import {
  fail,
  integerOf,
  type Json,
  listField,
  MAX_ID,
  objectOf,
  own,
  textField,
} from './tokenizer/fields.ts';
import { readModel, type TokenModel } from './tokenizer/model.ts';
import { readNormalizer } from './tokenizer/normalizers.ts';
import { createTokenizer } from './tokenizer/pipeline.ts';
import { type Frame, readPostProcessor } from './tokenizer/post-processors.ts';
import { readPreTokenizer } from './tokenizer/pre-tokenizers.ts';
import type { SpecialTokens, Tokenizer } from './tokenizer.ts';

const MAX_TEMPLATE = 2 ** 20;

/**
 * A tokenizer from the parsed files.
 * @throws WeightsError when a field has a wrong type or bound, or names a rule we do not know
 */
export function loadTokenizerJson(tokenizerJson: unknown, tokenizerConfig?: unknown): Tokenizer {
  const spec = objectOf(tokenizerJson, 'tokenizer.json');
  const config = objectOf(tokenizerConfig ?? {}, 'tokenizer_config.json');
  const model = readModel(own(spec, 'model'), 'tokenizer.json: model');
  const added = readAddedTokens(spec, config, model);
  const idOf = (token: string) => added.get(token)?.id ?? model.vocabulary.ids.get(token);
  return createTokenizer({
    model,
    added: [...added.values()],
    normalizer: readNormalizer(own(spec, 'normalizer'), 'tokenizer.json: normalizer'),
    preTokenizer: readPreTokenizer(own(spec, 'pre_tokenizer'), 'tokenizer.json: pre_tokenizer'),
    frame: frameOf(spec, config, idOf),
    decoder: readDecoder(own(spec, 'decoder'), 'tokenizer.json: decoder'),
    special: specialTokens(config, idOf, added),
    chatTemplate: chatTemplateOf(config),
  });
}

const NAMED = ['bos', 'eos', 'unk', 'sep', 'pad', 'cls', 'mask'] as const;
const CONFIG = 'tokenizer_config.json';

/** Tokens of tokenizer.json, then those that only the configuration names. */
function readAddedTokens(spec: Json, config: Json, model: TokenModel): Map<string, AddedToken> {
  const added = new Map<string, AddedToken>();
  const { ids, texts } = model.vocabulary;
  let next = texts.length;
  const add = (token: AddedToken) => {
    const known = added.get(token.content);
    // transformers marks every token that the configuration names as special.
    added.set(token.content, known ? { ...known, special: known.special || token.special } : token);
    next = Math.max(next, token.id + 1);
  };
  listField(spec, 'added_tokens', 'tokenizer.json', MAX_ID).forEach((item, i) => {
    add(readAddedToken(item, `tokenizer.json: added_tokens[${i}]`));
  });
  const listed = objectOf(
    own(config, 'added_tokens_decoder') ?? {},
    `${CONFIG}: added_tokens_decoder`,
  );
  for (const [key, item] of Object.entries(listed)) {
    const where = `${CONFIG}: added_tokens_decoder[${JSON.stringify(key.slice(0, 20))}]`;
    add(readAddedToken(item, where, integerOf(Number(key), where, MAX_ID - 1)));
  }
  for (const [where, value] of configuredTokens(config)) {
    const content = tokenContent(value, where);
    const id = added.get(content)?.id ?? ids.get(content) ?? next;
    const whole = typeof value === 'string' ? { content } : objectOf(value, where);
    add(readAddedToken({ normalized: false, ...whole, special: true }, where, id));
  }
  return added;
}

function* configuredTokens(config: Json): Generator<readonly [string, unknown]> {
  for (const name of NAMED) {
    const value = own(config, `${name}_token`);
    if (value !== undefined) yield [`${CONFIG}: ${name}_token`, value];
  }
  for (const key of ['additional_special_tokens', 'extra_special_tokens']) {
    const value = own(config, key) ?? [];
    const list: unknown[] = Array.isArray(value)
      ? value
      : Object.values(objectOf(value, `${CONFIG}: ${key}`));
    if (list.length > MAX_ID) fail(`${CONFIG}: ${key}`, `at most ${MAX_ID} tokens`, list.length);
    for (const item of list) yield [`${CONFIG}: ${key}`, item];
  }
}

/** A token is given as text or as an object with its flags. */
function tokenContent(value: unknown, where: string): string {
  const content =
    typeof value === 'string' ? value : textField(objectOf(value, where), 'content', where);
  return content === '' ? fail(where, 'a token', content) : content;
}

type IdOf = (token: string) => number | undefined;

function namedId(config: Json, name: (typeof NAMED)[number], idOf: IdOf): number | undefined {
  const value = own(config, `${name}_token`);
  return value === undefined ? undefined : idOf(tokenContent(value, `${CONFIG}: ${name}_token`));
}

/** Masked models have [CLS] and [SEP] in place of begin and end. */
function specialTokens(
  config: Json,
  idOf: IdOf,
  added: ReadonlyMap<string, AddedToken>,
): SpecialTokens {
  const id = (name: (typeof NAMED)[number]) => namedId(config, name, idOf);
  return withoutUndefined({
    bos: id('bos') ?? id('cls'),
    eos: id('eos') ?? id('sep'),
    pad: id('pad'),
    unknown: id('unk'),
    // RoBERTa's own configuration does not name it.
    mask: id('mask') ?? added.get('<mask>')?.id ?? added.get('[MASK]')?.id,
  });
}

function withoutUndefined(values: Record<string, number | undefined>): SpecialTokens {
  return Object.fromEntries(Object.entries(values).filter(([, id]) => id !== undefined));
}

/** A configuration that says whether to add begin and end overrules tokenizer.json. */
function frameOf(spec: Json, config: Json, idOf: IdOf): Frame {
  const addBos = own(config, 'add_bos_token');
  const addEos = own(config, 'add_eos_token');
  if (addBos === undefined && addEos === undefined) {
    return readPostProcessor(own(spec, 'post_processor'), 'tokenizer.json: post_processor');
  }
  const some = (wanted: unknown, name: 'bos' | 'eos') => {
    const id = wanted === true ? namedId(config, name, idOf) : undefined;
    return id === undefined ? [] : [id];
  };
  return { before: some(addBos, 'bos'), after: some(addEos, 'eos') };
}

function chatTemplateOf(config: Json): string | undefined {
  let value = own(config, 'chat_template');
  if (Array.isArray(value)) {
    const named = value.map((item, i) => objectOf(item, `${CONFIG}: chat_template[${i}]`));
    const chosen = named.find((item) => own(item, 'name') === 'default') ?? named[0];
    value = chosen && own(chosen, 'template');
  }
  if (value === undefined) return undefined;
  if (typeof value !== 'string' || value.length > MAX_TEMPLATE) {
    fail(`${CONFIG}: chat_template`, `a text of at most ${MAX_TEMPLATE} characters`, value);
  }
  return value;
}

const MEGABYTE = 2 ** 20;
const MAX_TOKENIZER_JSON = 128 * MEGABYTE;
const MAX_OTHER_FILE = 16 * MEGABYTE;

/**
 * The tokenizer of a Hugging Face folder.
 * @throws WeightsError when tokenizer.json is missing or a file is too large, damaged or hostile
 */
export async function loadTokenizerFolder(folder: string): Promise<Tokenizer> {
  const tokenizer = await readJson(folder, 'tokenizer.json', MAX_TOKENIZER_JSON);
  if (tokenizer === undefined) {
    throw new WeightsError(
      `${folder}: tokenizer.json is missing; use a model that comes with one, or a GGUF file`,
    );
  }
  const map = await readJson(folder, 'special_tokens_map.json', MAX_OTHER_FILE);
  const config = await readJson(folder, CONFIG, MAX_OTHER_FILE);
  const template = await readText(folder, 'chat_template.jinja', MAX_TEMPLATE);
  try {
    return loadTokenizerJson(tokenizer, {
      ...(map === undefined ? {} : objectOf(map, 'special_tokens_map.json')),
      ...(config === undefined ? {} : objectOf(config, CONFIG)),
      ...(template === undefined ? {} : { chat_template: template }),
    });
  } catch (error) {
    if (!(error instanceof WeightsError)) throw error;
    throw new WeightsError(`${folder}: ${error.message}`, { cause: error });
  }
}

async function readJson(folder: string, name: string, maxBytes: number): Promise<unknown> {
  const text = await readText(folder, name, maxBytes);
  if (text === undefined) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : 'it cannot be parsed';
    throw new WeightsError(`${join(folder, name)}: not valid JSON (${reason})`);
  }
}

/** A text file, or nothing where there is none. */
async function readText(
  folder: string,
  name: string,
  maxBytes: number,
): Promise<string | undefined> {
  const path = join(folder, name);
  try {
    const { size } = await stat(path);
    if (size > maxBytes) {
      throw new WeightsError(`${path}: has ${size} bytes, expected at most ${maxBytes}`);
    }
    return (await readFile(path, 'utf8')).replace(/^\ufeff/, '');
  } catch (error) {
    if (error instanceof WeightsError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new WeightsError(`${path}: cannot be read (${(error as Error).message})`);
  }
}
