/** Colours, where they are wanted, and lines that fit although they carry colours. */
import { displayWidth, truncate } from '../../util/text.ts';

export interface Style {
  bold(text: string): string;
  dim(text: string): string;
  green(text: string): string;
  yellow(text: string): string;
  red(text: string): string;
  cyan(text: string): string;
}

type Terminal = { isTTY?: boolean | undefined };
type Variables = Readonly<Record<string, string | undefined>>;

/** True when a stream takes colours: NO_COLOR and TERM=dumb say no, FORCE_COLOR says yes. */
export function wantsColour(stream: Terminal, env: Variables): boolean {
  if (env.NO_COLOR) return false;
  if (env.FORCE_COLOR && env.FORCE_COLOR !== '0') return true;
  return stream.isTTY === true && env.TERM !== 'dumb';
}

export function createStyle(isColoured: boolean): Style {
  const paint = (open: number, close: number) => (text: string) =>
    isColoured && text !== '' ? `\u001b[${open}m${text}\u001b[${close}m` : text;
  return {
    bold: paint(1, 22),
    dim: paint(2, 22),
    green: paint(32, 39),
    yellow: paint(33, 39),
    red: paint(31, 39),
    cyan: paint(36, 39),
  };
}

/** A styled line cut to the columns; its colours are closed. */
export function fitLine(line: string, columns: number): string {
  if (styledWidth(line) <= columns) return line;
  let left = columns;
  let out = '';
  for (const part of splitStyled(line)) {
    if (part.startsWith('\u001b')) out += part;
    else if (left > 0) {
      const cut = displayWidth(part) > left ? truncate(`${part} `, left) : part;
      out += cut;
      left -= cut === part ? displayWidth(part) : left;
    }
  }
  return out;
}

/** Columns of a line without its colours. */
export function styledWidth(line: string): number {
  return displayWidth(
    splitStyled(line)
      .filter((part) => !part.startsWith('\u001b'))
      .join(''),
  );
}

function splitStyled(line: string): string[] {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: colours begin with one
  return line.split(/(\u001b\[[0-9;]*m)/);
}
