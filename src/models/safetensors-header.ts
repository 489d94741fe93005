/**
 * Parses the JSON header of a safetensors file by the format's own narrow grammar, in one pass.
 *
 * Not `JSON.parse`: that one keeps the last of two equal names, rounds integers beyond 2^53, and a
 * hostile header of brackets takes fifty times its size in memory.
 * Source: github.com/huggingface/safetensors, README, "Format".
 */
import { WeightsError } from '../errors.ts';
import { quoted } from './opened-weights.ts';

export interface HeaderEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** First byte and the one after the last, from the start of the data. */
  readonly range: readonly [number, number];
}

export interface Header {
  readonly entries: readonly HeaderEntry[];
  readonly metadata: ReadonlyMap<string, string>;
}

const MAX_RANK = 32;

/** @throws WeightsError with `path` and the place where the header leaves the grammar */
export function parseHeader(text: string, path: string): Header {
  const scan = scanner(text, path);
  const entries = new Map<string, HeaderEntry>();
  let metadata: Map<string, string> | undefined;
  scan.object((name) => {
    if (entries.has(name) || (name === '__metadata__' && metadata)) {
      throw scan.bad(`${quoted(name)} stands twice`);
    }
    if (name === '__metadata__') metadata = parseMetadata(scan);
    else entries.set(name, parseEntry(scan, name));
  });
  scan.end();
  return { entries: [...entries.values()], metadata: metadata ?? new Map() };
}

type Scanner = ReturnType<typeof scanner>;

function parseMetadata(scan: Scanner): Map<string, string> {
  const metadata = new Map<string, string>();
  scan.object((key) => {
    if (metadata.has(key)) throw scan.bad(`metadata key ${quoted(key)} stands twice`);
    metadata.set(key, scan.string());
  });
  return metadata;
}

function parseEntry(scan: Scanner, name: string): HeaderEntry {
  let dtype: string | undefined;
  let shape: number[] | undefined;
  let offsets: number[] | undefined;
  scan.object((field) => {
    if (field === 'dtype' && dtype === undefined) dtype = scan.string();
    else if (field === 'shape' && !shape) shape = scan.integers(MAX_RANK);
    else if (field === 'data_offsets' && !offsets) offsets = scan.integers(2);
    else throw scan.bad(`tensor ${quoted(name)} has the field ${quoted(field)} twice or unknown`);
  });
  if (dtype === undefined || !shape || offsets?.length !== 2) {
    throw scan.bad(`tensor ${quoted(name)} lacks dtype, shape or two data_offsets`);
  }
  return { name, dtype, shape, range: [offsets[0]!, offsets[1]!] };
}

/** A cursor over JSON text that knows only what the grammar needs. */
function scanner(text: string, path: string) {
  let at = 0;
  const bad = (what: string) =>
    new WeightsError(
      `${path}: not a sound safetensors file, ${what} (character ${at} of its header)`,
    );
  const skipSpace = () => {
    for (; at < text.length; at++) {
      const c = text.charCodeAt(at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
    }
  };
  const accept = (character: string): boolean => {
    skipSpace();
    if (text[at] !== character) return false;
    at++;
    return true;
  };
  const expect = (character: string) => {
    if (!accept(character)) throw bad(`expected ${character}`);
  };
  const string = (): string => {
    expect('"');
    const start = at - 1;
    for (; ; at++) {
      if (at >= text.length) throw bad('a text does not end');
      const c = text.charCodeAt(at);
      if (c === 0x22) break;
      if (c === 0x5c) at++;
    }
    at++;
    try {
      return JSON.parse(text.slice(start, at)) as string;
    } catch {
      throw bad('a text holds a wrong escape or a control character');
    }
  };
  const integer = (): number => {
    skipSpace();
    const start = at;
    for (; at < text.length; at++) {
      const c = text.charCodeAt(at);
      if (c < 0x30 || c > 0x39) break;
    }
    const digits = text.slice(start, Math.min(at, start + 20));
    const value = Number(digits);
    if (digits === '' || !Number.isSafeInteger(value) || (digits[0] === '0' && digits !== '0')) {
      throw bad(`expected a whole number up to 2^53, got ${quoted(text.slice(start, start + 20))}`);
    }
    return value;
  };
  return {
    bad,
    string,
    object(member: (key: string) => void) {
      expect('{');
      if (accept('}')) return;
      do {
        const key = string();
        expect(':');
        member(key);
      } while (accept(','));
      expect('}');
    },
    integers(most: number): number[] {
      const out: number[] = [];
      expect('[');
      if (accept(']')) return out;
      do {
        if (out.length === most) throw bad(`expected at most ${most} numbers`);
        out.push(integer());
      } while (accept(','));
      expect(']');
      return out;
    },
    end() {
      skipSpace();
      if (at < text.length) throw bad('expected its end');
    },
  };
}
