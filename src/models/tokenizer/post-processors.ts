/** Which special tokens a model puts around a text. Pairs of texts are left out: nothing here uses them. */
import {
  fail,
  integerOf,
  type Json,
  listField,
  MAX_DEPTH,
  MAX_ID,
  MAX_RULES,
  objectOf,
  own,
  textField,
  unsupported,
} from './fields.ts';

export interface Frame {
  readonly before: readonly number[];
  readonly after: readonly number[];
}

export const NO_FRAME: Frame = { before: [], after: [] };

const KINDS: ReadonlyMap<string, (spec: Json, where: string, depth: number) => Frame> = new Map([
  ['TemplateProcessing', readTemplate],
  ['BertProcessing', readClsSep],
  ['RobertaProcessing', readClsSep],
  ['ByteLevel', () => NO_FRAME],
  ['Sequence', readSequence],
]);

/** @throws WeightsError when the rule is malformed or unknown */
export function readPostProcessor(value: unknown, where: string, depth = 0): Frame {
  if (value === undefined || value === null) return NO_FRAME;
  const spec = objectOf(value, where);
  const type = textField(spec, 'type', where, { max: 64 });
  const read = KINDS.get(type);
  if (!read || depth > MAX_DEPTH) return unsupported(`${where}.type`, type, [...KINDS.keys()]);
  return read(spec, where, depth);
}

function readSequence(spec: Json, where: string, depth: number): Frame {
  const before: number[] = [];
  const after: number[] = [];
  listField(spec, 'processors', where, MAX_RULES).forEach((item, i) => {
    const frame = readPostProcessor(item, `${where}.processors[${i}]`, depth + 1);
    before.unshift(...frame.before);
    after.push(...frame.after);
    if (before.length + after.length > MAX_RULES)
      fail(where, 'fewer special tokens', before.length);
  });
  return { before, after };
}

/** `["[CLS]", 101]` and `["[SEP]", 102]`. */
function readClsSep(spec: Json, where: string): Frame {
  const id = (key: string) => {
    const pair = own(spec, key);
    if (!Array.isArray(pair)) return fail(`${where}.${key}`, 'a token and its id', pair);
    return integerOf(pair[1], `${where}.${key}[1]`, MAX_ID);
  };
  return { before: [id('cls')], after: [id('sep')] };
}

function readTemplate(spec: Json, where: string): Frame {
  const tokens = objectOf(own(spec, 'special_tokens') ?? {}, `${where}.special_tokens`);
  const before: number[] = [];
  const after: number[] = [];
  let hasText = false;
  listField(spec, 'single', where, MAX_RULES).forEach((item, i) => {
    const place = `${where}.single[${i}]`;
    const piece = objectOf(item, place);
    const special = own(piece, 'SpecialToken');
    if (special === undefined) {
      objectOf(own(piece, 'Sequence'), `${place}.Sequence`);
      if (hasText) fail(place, 'the text only once', item);
      hasText = true;
      return;
    }
    const name = textField(
      objectOf(special, `${place}.SpecialToken`),
      'id',
      `${place}.SpecialToken`,
    );
    const entry = objectOf(own(tokens, name), `${where}.special_tokens[${JSON.stringify(name)}]`);
    for (const id of listField(entry, 'ids', `${where}.special_tokens`, MAX_RULES)) {
      (hasText ? after : before).push(integerOf(id, `${where}.special_tokens.ids`, MAX_ID));
    }
  });
  if (!hasText) fail(`${where}.single`, 'a place for the text', 'none');
  return { before, after };
}
