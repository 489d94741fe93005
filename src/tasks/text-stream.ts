/**
 * A text file as a stream of decoded pieces or lines, in bounded memory. Strict UTF-8 with an
 * optional byte order mark; what is no text is refused with the place where it stands.
 */
import { createReadStream } from 'node:fs';
import { DataError } from '../errors.ts';

/** Longest line or CSV record, in UTF-16 code units. */
export const maxRowLength = 1 << 20;

/**
 * The file's text in pieces of at most 64 KiB, the byte order mark left out.
 * @throws DataError when the file is missing, unreadable or not UTF-8 text
 */
export async function* readText(path: string): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true });
  let line = 1;
  try {
    for await (const chunk of createReadStream(path)) {
      const text = decoder.decode(chunk as Buffer, { stream: true });
      if (text.includes('\0')) {
        const at = line + countLines(text.slice(0, text.indexOf('\0')));
        throw new DataError(`data file ${path}: row ${at} holds a NUL byte, expected UTF-8 text`);
      }
      line += countLines(text);
      if (text !== '') yield text;
    }
    decoder.decode();
  } catch (error) {
    throw readError(path, error, line);
  }
}

/**
 * The file's lines without their ends (`\n` or `\r\n`), numbered from 1.
 * @throws DataError as `readText`, or when a line is too long
 */
export async function* readLines(path: string): AsyncGenerator<{ row: number; text: string }> {
  let rest = '';
  let row = 0;
  for await (const piece of readText(path)) {
    const lines = (rest + piece).split('\n');
    rest = lines.pop()!;
    for (const text of lines) {
      row++;
      checkLength(path, row, text);
      yield { row, text: text.endsWith('\r') ? text.slice(0, -1) : text };
    }
    checkLength(path, row + 1, rest);
  }
  if (rest !== '') yield { row: row + 1, text: rest.endsWith('\r') ? rest.slice(0, -1) : rest };
}

function checkLength(path: string, row: number, text: string): void {
  if (text.length > maxRowLength) {
    throw new DataError(
      `data file ${path}: row ${row} is longer than ${maxRowLength} characters; ` +
        'are the line ends missing?',
    );
  }
}

function countLines(text: string): number {
  let count = 0;
  for (let i = text.indexOf('\n'); i >= 0; i = text.indexOf('\n', i + 1)) count++;
  return count;
}

function readError(path: string, error: unknown, line: number): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ERR_ENCODING_INVALID_ENCODED_DATA') {
    return new DataError(
      `data file ${path}: bytes at or after row ${line} are not UTF-8 text; save it as UTF-8`,
    );
  }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new DataError(`data file ${path} does not exist; check task.data and the folder`);
  }
  if (code === 'EISDIR') {
    return new DataError(`data file ${path} is a folder, expected a file; name the file inside`);
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new DataError(`data file ${path} may not be read; change its permissions`);
  }
  if (typeof code === 'string' && (error as NodeJS.ErrnoException).syscall !== undefined) {
    return new DataError(`data file ${path} cannot be read (${code})`, { cause: error });
  }
  return error;
}
