/**
 * The first JSON object in a text that has other things around it, as LMs write: in a sentence, in a
 * code fence. Also read are trailing commas, single quotes, keys without quotes, line ends in strings
 * and Python's True, False, None. What is cut off or nested over 100 levels is not read.
 */

export type JsonValue = string | number | boolean | null | readonly JsonValue[] | JsonObject;
/** A map, so that a key like `__proto__` is one like others. */
export type JsonObject = ReadonlyMap<string, JsonValue>;

const MOST_LEVELS = 100;
const FREE_WORK = 1_000_000;
const WORK_PER_CHARACTER = 8;

const SPACE = /\s*/y;
const NUMBER = /-?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?/y;
const WORD = /[\p{L}_$][\p{L}\p{N}_$-]*/uy;
const STRINGS = {
  '"': /"([^"\\]*(?:\\[\s\S][^"\\]*)*)"/y,
  "'": /'([^'\\]*(?:\\[\s\S][^'\\]*)*)'/y,
};
const WORDS: ReadonlyMap<string, JsonValue> = new Map<string, JsonValue>([
  ['true', true],
  ['True', true],
  ['false', false],
  ['False', false],
  ['null', null],
  ['None', null],
]);
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', b: '\b', f: '\f' };

interface Cursor {
  readonly text: string;
  at: number;
  level: number;
  /** Characters looked at in vain, at most. */
  work: number;
}

/** The first object that can be read, or undefined. Takes time in proportion to the text. */
export function firstObject(text: string): JsonObject | undefined {
  const work = FREE_WORK + WORK_PER_CHARACTER * text.length;
  const cursor: Cursor = { text, at: 0, level: 0, work };
  for (let at = text.indexOf('{'); at >= 0 && cursor.work > 0; at = text.indexOf('{', at + 1)) {
    Object.assign(cursor, { at, level: 0 });
    const object = readObject(cursor);
    if (object) return object;
    cursor.work -= cursor.at - at;
  }
  return undefined;
}

/** `undefined` stands for what is no JSON, here and below. */
function readValue(cursor: Cursor): JsonValue | undefined {
  take(cursor, SPACE);
  const char = cursor.text[cursor.at];
  if (char === '{') return readObject(cursor);
  if (char === '[') return readList(cursor);
  if (char === '"' || char === "'") return readString(cursor, char);
  const number = take(cursor, NUMBER);
  if (number) return Number(number[0]);
  const word = take(cursor, WORD);
  return word ? WORDS.get(word[0]) : undefined;
}

function readObject(cursor: Cursor): JsonObject | undefined {
  const entries = new Map<string, JsonValue>();
  const isWhole = readItems(cursor, '}', () => {
    const key = readKey(cursor);
    if (key === undefined || !skip(cursor, ':')) return false;
    const value = readValue(cursor);
    if (value !== undefined) entries.set(key, value);
    return value !== undefined;
  });
  return isWhole ? entries : undefined;
}

function readList(cursor: Cursor): JsonValue[] | undefined {
  const items: JsonValue[] = [];
  const isWhole = readItems(cursor, ']', () => {
    const value = readValue(cursor);
    if (value !== undefined) items.push(value);
    return value !== undefined;
  });
  return isWhole ? items : undefined;
}

/** What stands between an opening bracket and `close`, with commas; false when it is not whole. */
function readItems(cursor: Cursor, close: string, readItem: () => boolean): boolean {
  if (++cursor.level > MOST_LEVELS) return false;
  cursor.at++;
  while (!skip(cursor, close)) {
    if (!readItem()) return false;
    if (!skip(cursor, ',')) {
      if (!skip(cursor, close)) return false;
      break;
    }
  }
  cursor.level--;
  return true;
}

function readKey(cursor: Cursor): string | undefined {
  take(cursor, SPACE);
  const char = cursor.text[cursor.at];
  if (char === '"' || char === "'") return readString(cursor, char);
  return take(cursor, WORD)?.[0];
}

function readString(cursor: Cursor, quote: '"' | "'"): string | undefined {
  const found = take(cursor, STRINGS[quote]);
  if (!found) {
    cursor.work -= cursor.text.length - cursor.at;
    return undefined;
  }
  return found[1]!.replace(/\\(?:u([0-9a-fA-F]{4})|([\s\S]))/g, (_, code, char) =>
    code === undefined ? (ESCAPES[char] ?? char) : String.fromCharCode(Number.parseInt(code, 16)),
  );
}

/** Moves past white space and then `char`, if it stands there. */
function skip(cursor: Cursor, char: string): boolean {
  take(cursor, SPACE);
  if (cursor.text[cursor.at] !== char) return false;
  cursor.at++;
  return true;
}

function take(cursor: Cursor, pattern: RegExp): RegExpExecArray | null {
  pattern.lastIndex = cursor.at;
  const found = pattern.exec(cursor.text);
  if (found) cursor.at += found[0].length;
  return found;
}
