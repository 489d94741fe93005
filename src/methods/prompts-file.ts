/**
 * Prompts from a file: one a line, JSON Lines (a text, or an object with the key `prompt`), or a
 * YAML or JSON list of texts. The ending of the name decides; a bad line is refused with its number.
 */
import { readFile, stat } from 'node:fs/promises';
import { extname, resolve } from 'node:path';
import { isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import { ConfigError } from '../errors.ts';

const MAX_BYTES = 2 ** 20;
const MAX_PROMPT = 10_000;

/** One prompt and the line where it begins, as found, unchecked. */
interface Entry {
  readonly line: number;
  readonly value: unknown;
}

const readers: Readonly<Record<string, (text: string, path: string) => Entry[]>> = {
  '.jsonl': jsonLines,
  '.ndjson': jsonLines,
  '.json': yamlList,
  '.yaml': yamlList,
  '.yml': yamlList,
};

/**
 * The file's prompts, in order.
 * @throws ConfigError when it cannot be read, holds none, or a line is no prompt
 */
export async function readPromptsFile(path: string): Promise<string[]> {
  const text = await readText(path);
  const reader = readers[extname(path).toLowerCase()] ?? plainLines;
  const prompts = reader(text, path).map(({ line, value }) => checked(path, line, value));
  if (prompts.length === 0) throw new ConfigError(`${path}: holds no prompt, write one a line`);
  return prompts;
}

/**
 * Options in which the prompts of their file stand behind those that are typed in.
 * @throws ConfigError as `readPromptsFile` does
 */
export async function withPromptsFile<
  O extends { readonly prompts?: string[] | undefined; readonly promptsFile?: string | undefined },
>(options: O, { folder }: { readonly folder: string }): Promise<O> {
  const { prompts = [], promptsFile } = options;
  if (promptsFile === undefined) return options;
  return {
    ...options,
    prompts: [...prompts, ...(await readPromptsFile(resolve(folder, promptsFile)))],
  };
}

async function readText(path: string): Promise<string> {
  try {
    const { size } = await stat(path);
    if (size > MAX_BYTES) {
      throw new ConfigError(`${path}: ${size} bytes, expected prompts of at most 1 MB`);
    }
    const bytes = await readFile(path);
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
      throw new ConfigError(`${path}: is not UTF-8 text; save it as UTF-8`);
    }
    const reason = code === 'ENOENT' ? 'no such file' : `cannot be read (${code ?? String(error)})`;
    throw new ConfigError(`${path}: ${reason}; check method.promptsFile`);
  }
}

function plainLines(text: string): Entry[] {
  return text
    .split(/\r?\n/)
    .map((value, i) => ({ line: i + 1, value: value.trim() }))
    .filter(({ value }) => value !== '');
}

function jsonLines(text: string, path: string): Entry[] {
  return plainLines(text).map(({ line, value }) => {
    let parsed: unknown;
    try {
      parsed = JSON.parse(value as string);
    } catch (error) {
      throw new ConfigError(`${path}:${line}: not valid JSON (${(error as Error).message})`);
    }
    const isObject =
      typeof parsed === 'object' && parsed !== null && Object.hasOwn(parsed, 'prompt');
    return { line, value: isObject ? (parsed as { prompt: unknown }).prompt : parsed };
  });
}

function yamlList(text: string, path: string): Entry[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const lineAt = (offset: number) => lines.linePos(offset).line;
  const [problem] = document.errors;
  if (problem) throw new ConfigError(`${path}:${lineAt(problem.pos[0])}: ${problem.message}`);
  const list = document.contents;
  if (!isSeq(list)) throw new ConfigError(`${path}:1: expected a list of texts`);
  return list.items.map((item) => {
    const range = (item as { range?: [number, number, number] }).range;
    return { line: lineAt(range?.[0] ?? 0), value: isScalar(item) ? item.value : item };
  });
}

function checked(path: string, line: number, value: unknown): string {
  const wrong = (got: string) =>
    new ConfigError(`${path}:${line}: expected a prompt as text, got ${got}`);
  if (typeof value !== 'string') {
    throw wrong(value !== null && typeof value === 'object' ? 'a group of keys' : String(value));
  }
  if (value.trim() === '') throw wrong('an empty one');
  if (value.length > MAX_PROMPT) {
    throw wrong(`${value.length} characters, at most ${MAX_PROMPT} are allowed`);
  }
  if (/\p{Cc}/u.test(value.replace(/[\n\t]/g, ''))) throw wrong('control characters');
  return value;
}
