/**
 * Templates for a task LM that is asked in messages. A line `[system]`, `[user]` or `[assistant]`
 * begins a message; a template without such lines is one user message. Slots are `{prompt}`,
 * `{input}` and `{question}`; a conversation of the example goes before the last message, where the
 * template does not place it with a line `[conversation]`.
 *
 * As in `template.ts`, `{{` and `}}` stand for braces and what fills a slot is never read again.
 */
import { ConfigError } from '../errors.ts';
import type { Message } from '../providers/text-model.ts';
import { excerpt } from './excerpt.ts';

export type MessageSlot = 'prompt' | 'input' | 'question';

type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'slot'; readonly slot: MessageSlot };

type Part =
  | { readonly kind: 'message'; readonly role: Message['role']; readonly pieces: readonly Piece[] }
  | { readonly kind: 'conversation' };

export interface MessageTemplate {
  /** As it was written. */
  readonly source: string;
  readonly parts: readonly Part[];
}

/** What stands in the slots of one request. */
export interface MessageValues {
  readonly prompt: string;
  readonly input: string;
  readonly question?: string | undefined;
  readonly conversation?: readonly Message[] | undefined;
}

export const plainTemplate = '[system]\n{prompt}\n[user]\n{input}';
export const questionTemplate = '[system]\n{prompt}\n[user]\n{input}\n\n{question}';

const slots: readonly MessageSlot[] = ['prompt', 'input', 'question'];
const HEADING = /^\[(system|user|assistant|conversation)\][ \t]*$/;

/**
 * Reads a template.
 * @throws ConfigError for an unknown slot, a missing {prompt} or {input}, a lone brace, or a system
 * message that is not the first
 */
export function parseMessageTemplate(source: string): MessageTemplate {
  const parts: Part[] = [];
  let role: Message['role'] = 'user';
  let lines: string[] = [];
  const end = () => {
    const text = lines.join('\n').trim();
    lines = [];
    if (text !== '') parts.push({ kind: 'message', role, pieces: piecesOf(source, text) });
  };
  for (const line of source.split(/\r?\n/)) {
    const heading = HEADING.exec(line)?.[1];
    if (heading === undefined) lines.push(line);
    else {
      end();
      if (heading === 'conversation') parts.push({ kind: 'conversation' });
      else role = heading as Message['role'];
    }
  }
  end();
  check(source, parts);
  return { source, parts };
}

/** True when the template has the slot. */
export function hasMessageSlot({ parts }: MessageTemplate, slot: MessageSlot): boolean {
  return parts.some((part) => part.kind === 'message' && holds(part.pieces, slot));
}

/** The messages of one request; a message that comes out empty is left out. */
export function renderMessages({ parts }: MessageTemplate, values: MessageValues): Message[] {
  const turns = values.conversation ?? [];
  const isPlaced = parts.some(({ kind }) => kind === 'conversation');
  const out: Message[] = [];
  parts.forEach((part, i) => {
    if (part.kind === 'conversation' || (!isPlaced && i === parts.length - 1)) out.push(...turns);
    if (part.kind === 'conversation') return;
    const content = part.pieces
      .map((piece) => (piece.kind === 'text' ? piece.text : (values[piece.slot] ?? '')))
      .join('')
      .trim();
    if (content !== '') out.push({ role: part.role, content });
  });
  return out;
}

function piecesOf(source: string, text: string): Piece[] {
  const pieces: Piece[] = [];
  for (const [piece] of text.matchAll(/\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+/g)) {
    if (piece === '{' || piece === '}') throw wrong(source, `a single ${piece} belongs to no slot`);
    if (piece === '{{' || piece === '}}') pieces.push({ kind: 'text', text: piece[0]! });
    else if (!piece.startsWith('{')) pieces.push({ kind: 'text', text: piece });
    else {
      const slot = slots.find((known) => piece === `{${known}}`);
      if (slot === undefined) throw wrong(source, `unknown slot ${excerpt(piece)}`);
      pieces.push({ kind: 'slot', slot });
    }
  }
  return pieces;
}

function check(source: string, parts: readonly Part[]): void {
  const messages = parts.filter((part) => part.kind === 'message');
  const found = messages.flatMap(({ pieces }) =>
    pieces.flatMap((piece) => (piece.kind === 'slot' ? [piece.slot] : [])),
  );
  const twice = found.find((slot, i) => found.indexOf(slot) !== i);
  if (twice) throw wrong(source, `the slot {${twice}} stands there twice`);
  if (!found.includes('prompt')) throw wrong(source, 'the slot {prompt} is missing');
  if (!found.includes('input') && !found.includes('question')) {
    throw wrong(source, 'neither {input} nor {question} stands there');
  }
  const late = parts.slice(1).some((part) => part.kind === 'message' && part.role === 'system');
  if (late) throw wrong(source, 'a [system] message must be the first');
}

function holds(pieces: readonly Piece[], slot: MessageSlot): boolean {
  return pieces.some((piece) => piece.kind === 'slot' && piece.slot === slot);
}

function wrong(source: string, what: string): ConfigError {
  return new ConfigError(
    `template "${excerpt(source, 80)}": ${what}; known are {prompt}, {input}, {question}, and lines [system], [user], [assistant], [conversation]; write {{ and }} for braces`,
  );
}
