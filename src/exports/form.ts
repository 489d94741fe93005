/**
 * What is sent to a task LM, apart from any format: the pieces of a text that it goes on with, or of
 * messages that it answers, with slots for the prompt and for what is asked about. Formats that keep
 * prompt and template apart write the slots; formats that know no slot for a prompt get it put in
 * place (`bind`), and reading them takes it out again by the run's own template (`unbind`).
 */
import {
  type MessageTemplate,
  parseMessageTemplate,
  parseTemplate,
  renderMessages,
  renderTemplate,
} from '../tasks/index.ts';

export type SlotName = 'prompt' | 'input' | 'question' | 'mask';

export type Piece =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'slot'; readonly slot: SlotName };

export type ChatPart = MessageTemplate['parts'][number];

export type Form =
  | { readonly kind: 'completion'; readonly pieces: readonly Piece[] }
  | { readonly kind: 'chat'; readonly parts: readonly ChatPart[] };

/** How a task LM is asked: it goes on with a text, fills a mask in one, or answers messages. */
export type Asking = 'completion' | 'mask' | 'chat';

/** @throws ConfigError for a template that cannot be read */
export function formOf(asking: Asking, template: string): Form {
  if (asking !== 'chat')
    return { kind: 'completion', pieces: merged(parseTemplate(template).parts) };
  const { parts } = parseMessageTemplate(template);
  const whole = parts.map((part) =>
    part.kind === 'message' ? { ...part, pieces: merged(part.pieces) as typeof part.pieces } : part,
  );
  // Where it stands by itself, it is said.
  if (whole.some(({ kind }) => kind === 'conversation')) return { kind: 'chat', parts: whole };
  const before = whole.slice(0, -1);
  return { kind: 'chat', parts: [...before, { kind: 'conversation' }, ...whole.slice(-1)] };
}

/** The template that a form is: what `formOf` reads. */
export function sourceOf(form: Form): string {
  if (form.kind === 'completion') return sourceOfPieces(form.pieces);
  return form.parts
    .map((part) =>
      part.kind === 'conversation'
        ? '[conversation]'
        : `[${part.role}]\n${sourceOfPieces(part.pieces)}`,
    )
    .join('\n');
}

function sourceOfPieces(pieces: readonly Piece[]): string {
  return pieces
    .map((piece) =>
      piece.kind === 'slot' ? `{${piece.slot}}` : piece.text.replace(/[{}]/g, '$&$&'),
    )
    .join('');
}

function merged(pieces: readonly Piece[]): Piece[] {
  const out: Piece[] = [];
  for (const piece of pieces) {
    const last = out.at(-1);
    if (piece.kind === 'text' && last?.kind === 'text') {
      out[out.length - 1] = { kind: 'text', text: last.text + piece.text };
    } else out.push(piece);
  }
  return out;
}

/** True when the template asks about a question beside the input. */
export function hasSlot(form: Form, slot: SlotName): boolean {
  const all =
    form.kind === 'completion'
      ? form.pieces
      : form.parts.flatMap((part): readonly Piece[] =>
          part.kind === 'message' ? part.pieces : [],
        );
  return all.some((piece) => piece.kind === 'slot' && piece.slot === slot);
}

/** The form where nothing is ever asked beside the input: the slot goes, with spaces that it leaves at an end. */
export function withoutQuestion(form: Form): Form {
  if (form.kind === 'completion') return form;
  const parts = form.parts.flatMap((part): ChatPart[] => {
    if (part.kind === 'conversation') return [part];
    const isQuestion = (p: Piece) => p.kind === 'slot' && p.slot === 'question';
    if (!part.pieces.some(isQuestion)) return [part];
    const pieces = trimmed(part.pieces.filter((p) => !isQuestion(p)));
    return pieces.length === 0 ? [] : [{ ...part, pieces: pieces as typeof part.pieces }];
  });
  return { kind: 'chat', parts };
}

/** Texts that stand for what is asked about. */
export interface Stands {
  readonly input: string;
  readonly question: string;
  readonly mask: string;
}

export type BoundMessage =
  | { readonly kind: 'message'; readonly role: string; readonly content: string }
  | { readonly kind: 'conversation' };

/** A form with the prompt in its place. */
export type Bound =
  | { readonly kind: 'completion'; readonly text: string }
  | { readonly kind: 'chat'; readonly messages: readonly BoundMessage[] };

/** What is sent, as the environment renders it; the conversation keeps its place. */
export function bind(form: Form, prompt: string, stands: Stands): Bound {
  if (form.kind === 'completion') {
    const template = parseTemplate(sourceOf(form));
    return { kind: 'completion', text: renderTemplate(template, { ...stands, prompt }) };
  }
  const messages = form.parts.flatMap((part): BoundMessage[] => {
    if (part.kind === 'conversation') return [part];
    const template = { source: '', parts: [part] };
    const rendered = renderMessages(template, { ...stands, prompt, conversation: [] });
    return rendered.map((message) => ({ kind: 'message', ...message }));
  });
  return { kind: 'chat', messages };
}

/**
 * The prompt that, put into the form, gives this; undefined where none does. What makes no
 * difference (spaces at a message's end) may come back otherwise.
 */
export function unbind(form: Form, bound: Bound, stands: Stands): string | undefined {
  const isIt = (prompt: string) =>
    JSON.stringify(bind(form, prompt, stands)) === JSON.stringify(bound);
  if (isIt('')) return '';
  const pieces =
    form.kind === 'completion'
      ? [form.pieces]
      : form.parts.flatMap((part) =>
          part.kind === 'message' ? [part.pieces as readonly Piece[]] : [],
        );
  const own = pieces.find((some) => some.some((p) => p.kind === 'slot' && p.slot === 'prompt'))!;
  const at = own.findIndex((p) => p.kind === 'slot' && p.slot === 'prompt');
  const textOf = (some: readonly Piece[]) =>
    some.map((p) => (p.kind === 'text' ? p.text : stands[p.slot as keyof Stands])).join('');
  const [before, after] = [textOf(own.slice(0, at)), textOf(own.slice(at + 1))];
  const contents =
    bound.kind === 'completion'
      ? [bound.text]
      : bound.messages.flatMap((m) => (m.kind === 'message' ? [m.content] : []));
  for (const content of contents) {
    for (const [head, tail] of [
      [before, after],
      [before.trimStart(), after.trimEnd()],
    ] as const) {
      if (content.length < head.length + tail.length) continue;
      const prompt = content.slice(head.length, content.length - tail.length);
      if (isIt(prompt)) return prompt;
    }
  }
  return undefined;
}

/** Messages of a file that has no place for a conversation, with the form's own place for it. */
export function withConversation(
  form: Form,
  messages: readonly BoundMessage[],
): readonly BoundMessage[] {
  const empty = bind(form, '', { input: 'x', question: 'x', mask: '' });
  if (empty.kind !== 'chat') return messages;
  const after = empty.messages.length - 1 - empty.messages.findIndex(({ kind }) => kind === 'conversation'); // biome-ignore format: one value
  const place = messages.length - after;
  return [...messages.slice(0, place), { kind: 'conversation' }, ...messages.slice(place)];
}

/** Texts for the slots that do not occur in a prompt: {{input}}, or {{input_2}} where it does. */
export function* possibleStands(): Generator<Stands> {
  for (let n = 1; n < 100; n++) {
    const end = n === 1 ? '' : `_${n}`;
    yield { input: `{{input${end}}}`, question: `{{question${end}}}`, mask: `{{mask${end}}}` };
  }
}

export function standsFor(prompt: string): Stands {
  for (const stands of possibleStands()) {
    if (Object.values(stands).every((text) => !prompt.includes(text))) return stands;
  }
  throw new Error('a prompt holds a hundred placeholders');
}

/** Form and prompt of which every word is sent, for formats that leave out nothing by themselves. */
export interface Settled {
  readonly form: Form;
  readonly prompt: string;
}

/**
 * What the environment leaves out is left out here: the slot of an empty prompt with the space beside
 * it, messages that come out empty, spaces at a message's ends.
 */
export function settle(form: Form, prompt: string): Settled {
  if (form.kind === 'completion') {
    return prompt === '' ? { form: { ...form, pieces: withoutPrompt(form.pieces) }, prompt } : { form, prompt }; // biome-ignore format: one value
  }
  let settled = prompt;
  const parts = form.parts.flatMap((part): ChatPart[] => {
    if (part.kind === 'conversation') return [part];
    const { pieces } = part;
    const isPrompt = (p: Piece | undefined) => p?.kind === 'slot' && p.slot === 'prompt';
    if (!pieces.some(isPrompt)) return [part];
    if (prompt.trim() === '') {
      settled = '';
      const rest = trimmed(pieces.filter((p) => !isPrompt(p)));
      return rest.length === 0 ? [] : [{ ...part, pieces: rest as typeof pieces }];
    }
    if (isPrompt(pieces[0])) settled = settled.trimStart();
    if (isPrompt(pieces.at(-1))) settled = settled.trimEnd();
    return [part];
  });
  return { form: { kind: 'chat', parts }, prompt: settled };
}

/** The template of a settled form; a slot for the prompt is put where none is. */
export function sourceOfSettled(form: Form): string {
  if (hasSlot(form, 'prompt')) return sourceOf(form);
  const slot = { kind: 'slot', slot: 'prompt' } as const;
  if (form.kind === 'completion') {
    // An empty prompt takes a space beside it, so it must have none.
    const [next] = form.pieces;
    const isFree = next?.kind !== 'text' || !next.text.startsWith(' ');
    return sourceOf({ ...form, pieces: isFree ? [slot, ...form.pieces] : [...form.pieces, slot] });
  }
  const [first, ...rest] = form.parts;
  if (first?.kind === 'message' && first.role === 'system') {
    return sourceOf({ kind: 'chat', parts: [{ ...first, pieces: [...first.pieces, slot] }, ...rest] }); // biome-ignore format: one call
  }
  const empty = { kind: 'message', role: 'system', pieces: [slot] } as const;
  return sourceOf({ kind: 'chat', parts: [empty, ...form.parts] });
}

/** As `renderTemplate` treats an empty prompt. */
function withoutPrompt(pieces: readonly Piece[]): Piece[] {
  const at = pieces.findIndex((p) => p.kind === 'slot' && p.slot === 'prompt');
  const before = pieces.slice(0, at);
  const after = pieces.slice(at + 1);
  const [left, right] = [before.at(-1), after[0]];
  const endsInSpace = left?.kind === 'text' && left.text.endsWith(' ');
  const beginsWithSpace = right?.kind === 'text' && right.text.startsWith(' ');
  if (endsInSpace && (right === undefined || beginsWithSpace)) {
    before[before.length - 1] = { kind: 'text', text: left.text.slice(0, -1) };
  } else if (left === undefined && beginsWithSpace) {
    after[0] = { kind: 'text', text: right.text.slice(1) };
  }
  return merged([...before, ...after]).filter((p) => p.kind === 'slot' || p.text !== '');
}

function trimmed(pieces: readonly Piece[]): Piece[] {
  const out = merged(pieces);
  const first = out[0];
  if (first?.kind === 'text') out[0] = { kind: 'text', text: first.text.trimStart() };
  const last = out.at(-1);
  if (last?.kind === 'text') out[out.length - 1] = { kind: 'text', text: last.text.trimEnd() };
  return out.filter((p) => p.kind === 'slot' || p.text !== '');
}
