/**
 * LangChain's own serialisation (`lc: 1`) of a PromptTemplate or ChatPromptTemplate, which both
 * @langchain/core/load and langchain_core.load read. The prompt is a partial variable, so that nothing
 * in it is taken for a slot; the rest of the template is f-string syntax, as ours is.
 * Source: langchain_core/load/serializable, @langchain/core/load/serializable.
 */
import { z } from 'zod';
import { DataError } from '../../errors.ts';
import { exporter } from '../exporter.ts';
import type { Finding } from '../finding.ts';
import {
  type ChatPart,
  type Form,
  hasSlot,
  type Piece,
  settle,
  sourceOf,
  sourceOfSettled,
} from '../form.ts';
import { jsonText } from '../literal.ts';
import { jsonOf, textOf } from '../read-files.ts';

const FILE = 'langchain.json';
const ROLES = {
  system: 'SystemMessagePromptTemplate',
  user: 'HumanMessagePromptTemplate',
  assistant: 'AIMessagePromptTemplate',
} as const;

export const langchain = exporter({
  name: 'langchain',
  kinds: ['text'],
  asking: ['completion', 'chat'],
  write: (finding) => [{ name: FILE, data: `${jsonText(serialised(finding))}\n` }],
  read: ({ files }) => {
    const parsed = promptSchema.safeParse(jsonOf(textOf(files, FILE), FILE));
    if (!parsed.success) throw new DataError(`${FILE}: is no prompt of LangChain's`);
    const { kwargs } = parsed.data;
    const { prompt = '' } = kwargs.partial_variables;
    return { kind: 'text', prompt, template: sourceOfSettled(formOfKwargs(kwargs)) };
  },
});

function serialised(finding: Finding): object {
  const { form, prompt } = settle(finding.form, finding.prompt);
  const slots = (['input', 'question'] as const).filter((slot) => hasSlot(form, slot));
  const variables: readonly string[] = isTalk(finding) ? [...slots, 'conversation'] : slots;
  const partial_variables = hasSlot(form, 'prompt') ? { prompt } : {};
  if (form.kind === 'completion') {
    const template = sourceOf(form);
    const kwargs = { input_variables: variables, partial_variables, template };
    return serial(['prompts', 'prompt', 'PromptTemplate'], { ...kwargs, template_format: 'f-string' }); // biome-ignore format: one call
  }
  return serial(['prompts', 'chat', 'ChatPromptTemplate'], {
    input_variables: variables,
    partial_variables,
    messages: form.parts.filter(({ kind }) => kind === 'message' || isTalk(finding)).map(message),
  });
}

/** A placeholder that nobody fills would have to be filled by every caller. */
function isTalk({ config, template }: Finding): boolean {
  return config.task.conversation !== undefined || /^\[conversation\][ \t]*$/m.test(template);
}

function message(part: ChatPart): object {
  if (part.kind === 'conversation') {
    return serial(['prompts', 'chat', 'MessagesPlaceholder'], {
      variable_name: 'conversation',
      optional: true,
    });
  }
  const pieces: readonly Piece[] = part.pieces;
  const slots = pieces.flatMap((piece) => (piece.kind === 'slot' ? [piece.slot] : []));
  const prompt = serial(['prompts', 'prompt', 'PromptTemplate'], {
    input_variables: [...new Set(slots)],
    template: sourceOf({ kind: 'completion', pieces }),
    template_format: 'f-string',
  });
  return serial(['prompts', 'chat', ROLES[part.role]], { prompt });
}

function serial(path: readonly string[], kwargs: object): object {
  return { lc: 1, type: 'constructor', id: ['langchain_core', ...path], kwargs };
}

const named = (...names: readonly string[]) => ({
  lc: z.literal(1),
  type: z.literal('constructor'),
  id: z.array(z.string()).refine((id) => names.includes(id.at(-1) ?? '')),
});
const textTemplate = z.object({
  template: z.string(),
  partial_variables: z.object({ prompt: z.string().optional() }).default({}),
});
const messageSchema = z.union([
  z.object({
    ...named(...Object.values(ROLES)),
    kwargs: z.object({ prompt: z.object({ ...named('PromptTemplate'), kwargs: textTemplate }) }),
  }),
  z.object({ ...named('MessagesPlaceholder'), kwargs: z.object({ variable_name: z.string() }) }),
]);
const promptSchema = z.union([
  z.object({ ...named('PromptTemplate'), kwargs: textTemplate }),
  z.object({
    ...named('ChatPromptTemplate'),
    kwargs: z.object({
      messages: z.array(messageSchema),
      partial_variables: z.object({ prompt: z.string().optional() }).default({}),
    }),
  }),
]);

function formOfKwargs(kwargs: z.infer<typeof promptSchema>['kwargs']): Form {
  if ('template' in kwargs) return { kind: 'completion', pieces: piecesOf(kwargs.template) };
  const parts = kwargs.messages.map(({ id, kwargs: own }): ChatPart => {
    if (!('prompt' in own)) return { kind: 'conversation' };
    const role = (Object.keys(ROLES) as (keyof typeof ROLES)[]).find((r) => ROLES[r] === id.at(-1));
    // What an f-string of ours holds, a message of ours can hold.
    return { kind: 'message', role: role!, pieces: piecesOf(own.prompt.kwargs.template) as never };
  });
  return { kind: 'chat', parts };
}

/** An f-string: braces stand for a slot, two of them for themselves. */
function piecesOf(template: string): Piece[] {
  const out: Piece[] = [];
  for (const [piece] of template.matchAll(/\{\{|\}\}|\{[a-z]+\}|[^{}]+/g)) {
    if (/^\{[a-z]+\}$/.test(piece)) out.push({ kind: 'slot', slot: piece.slice(1, -1) as 'input' });
    else out.push({ kind: 'text', text: piece === '{{' || piece === '}}' ? piece[0]! : piece });
  }
  return out;
}
