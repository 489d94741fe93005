/**
 * Messages as the ids that a model was trained to answer: by the Jinja template in its own file
 * (tokenizer_config.json, chat_template.jinja, GGUF's tokenizer.chat_template). A template is a
 * program of somebody else's: it gets messages alone, bounded ranges and two seconds.
 *
 * A model without a template gets the messages' texts, a blank line between them; `isPlain` says so.
 * Left out: tools, images, and the date (`strftime_now`), so that the same messages are the same text
 * every day; templates that ask for it have a fixed one besides.
 * Source: transformers, utils/chat_template_utils, `render_jinja_template`.
 */
import { createContext, Script } from 'node:vm';
import { Environment, Interpreter, parse, tokenize } from '@huggingface/jinja';
import { DataError } from '../errors.ts';
import type { LanguageModel } from './language-model.ts';

export interface ChatMessage {
  readonly role: string;
  readonly content: string;
}

export interface Chat {
  /** True where the model has no template: the texts alone. */
  readonly isPlain: boolean;
  /** The text that ends where the answer begins. @throws DataError when the template refuses */
  text(messages: readonly ChatMessage[]): string;
  /** Ids of that text. */
  ids(messages: readonly ChatMessage[]): number[];
}

/** A template's time; a real one takes a few milliseconds. */
const MOST_MS = 2000;
/** Numbers of one `range`. */
const MOST_RANGE = 100_000;
/** Characters of the text. */
const MOST_TEXT = 2 ** 22;

export function chatOf({ name, tokenizer }: Pick<LanguageModel, 'name' | 'tokenizer'>): Chat {
  const { chatTemplate } = tokenizer;
  if (chatTemplate === undefined) {
    const text = (messages: readonly ChatMessage[]) =>
      `${messages.map(({ content }) => content.trim()).join('\n\n')}\n`;
    return {
      isPlain: true,
      text,
      ids: (messages) => tokenizer.encode(text(messages), { addSpecialTokens: true }),
    };
  }
  const { bos, eos } = tokenizer.special;
  const tokenOf = (id: number | undefined) =>
    id === undefined ? '' : tokenizer.decode([id], { keepSpecialTokens: true });
  const render = compileTemplate(chatTemplate, name);
  const text = (messages: readonly ChatMessage[]) =>
    render(messages, { bos_token: tokenOf(bos), eos_token: tokenOf(eos) });
  return {
    isPlain: false,
    text,
    // What stands at the beginning is the template's to say.
    ids: (messages) => tokenizer.encode(text(messages)),
  };
}

/** @throws DataError when it is no template */
export function compileTemplate(
  source: string,
  name: string,
): (messages: readonly ChatMessage[], tokens?: Readonly<Record<string, string>>) => string {
  const refuse = (error: unknown) => {
    const reason = (error as Error).message.split('\n')[0]!.slice(0, 300);
    return new DataError(`${name}: its chat template cannot take these messages (${reason})`);
  };
  const program = bounded(() =>
    parse(tokenize(source, { lstrip_blocks: true, trim_blocks: true })),
  );
  return (messages, tokens = {}) => {
    try {
      const environment = new Environment();
      const known = { ...globals, messages, add_generation_prompt: true, ...tokens };
      for (const [key, value] of Object.entries(known)) environment.set(key, value);
      const text = bounded(() => new Interpreter(environment).run(program()));
      const value: unknown = (text() as { value?: unknown }).value;
      if (typeof value !== 'string' || value.length > MOST_TEXT) {
        throw new Error(`it does not make a text of at most ${MOST_TEXT} characters`);
      }
      return value;
    } catch (error) {
      throw refuse(error);
    }
  };
}

const globals = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  raise_exception(message: string) {
    throw new Error(message);
  },
  range(first: number, second?: number, step = 1) {
    const [from, to] = second === undefined ? [0, first] : [first, second];
    const length = Math.max(0, Math.ceil((to - from) / step));
    if (!(length <= MOST_RANGE)) throw new Error(`a range of ${length} numbers`);
    return Array.from({ length }, (_, i) => from + i * step);
  },
};

/** Work that is ended when it takes too long; done once, on first use. */
function bounded<T>(work: () => T): () => T {
  let result: { readonly value: T } | undefined;
  return () => {
    if (!result) {
      slot.work = work;
      result = { value: runSlot.runInContext(context, { timeout: MOST_MS }) as T };
    }
    return result.value;
  };
}

// A context of its own is what Node can end from outside; the work itself runs as ever.
const slot: { work: () => unknown } = { work: () => undefined };
const context = createContext({ slot });
const runSlot = new Script('slot.work()');
