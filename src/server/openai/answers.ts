/** Answers in OpenAI's shapes: whole, or as the chunks of a stream. */
import type { Answered } from './responder.ts';

export interface Head {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly model: string;
}

export interface Shape {
  /** A whole answer, a choice a question. */
  whole(head: Head, answers: readonly Answered[]): object;
  /** The chunks of a stream, in order. */
  chunks(head: Head, answers: readonly Answered[]): Iterable<object>;
  /** The last chunk, where usage was asked for. */
  usageChunk(head: Head, answers: readonly Answered[]): object;
}

/** `top` alternatives are told; undefined: none were asked for. */
export function chatShape(top: number | undefined): Shape {
  const about = (head: Head) => ({ ...head, object: 'chat.completion.chunk' });
  const logprobs = (answer: Answered) => (top === undefined ? null : chatLogProbs(answer, top));
  const chunk = (head: Head, answer: Answered, delta: object, end?: Answered) => ({
    ...about(head),
    choices: [
      {
        index: 0,
        delta,
        logprobs: 'content' in delta && delta.content !== '' ? logprobs(answer) : null,
        finish_reason: end?.finish ?? null,
      },
    ],
    ...(end ? extra(end) : {}),
  });
  return {
    whole: (head, answers) => ({
      ...head,
      object: 'chat.completion',
      choices: answers.map((answer, index) => ({
        index,
        message: { role: 'assistant', content: answer.text, refusal: null },
        logprobs: logprobs(answer),
        finish_reason: answer.finish,
      })),
      usage: usageOf(answers),
      ...extra(answers[0]!),
    }),
    *chunks(head, [answer]) {
      yield chunk(head, answer!, { role: 'assistant', content: '' });
      for (const piece of pieces(answer!)) yield chunk(head, answer!, { content: piece });
      yield chunk(head, answer!, {}, answer);
    },
    usageChunk: (head, answers) => ({ ...about(head), choices: [], usage: usageOf(answers) }),
  };
}

export function completionShape(top: number | undefined): Shape {
  const about = (head: Head) => ({ ...head, object: 'text_completion' });
  const choice = (answer: Answered, index: number, text: string, isEnd: boolean) => ({
    index,
    text,
    logprobs: top === undefined || text === '' ? null : oldLogProbs(answer, top),
    finish_reason: isEnd ? answer.finish : null,
  });
  return {
    whole: (head, answers) => ({
      ...about(head),
      choices: answers.map((answer, i) => choice(answer, i, answer.text, true)),
      usage: usageOf(answers),
      ...extra(answers[0]!),
    }),
    *chunks(head, answers) {
      for (const [i, answer] of answers.entries()) {
        for (const piece of pieces(answer)) {
          yield { ...about(head), choices: [choice(answer, i, piece, false)] };
        }
        yield { ...about(head), choices: [choice(answer, i, '', true)] };
      }
    },
    usageChunk: (head, answers) => ({ ...about(head), choices: [], usage: usageOf(answers) }),
  };
}

/** A label word in one piece, whose log-probability belongs to it; a text word by word. */
function pieces({ text, words }: Answered): string[] {
  if (words) return [text];
  return text.match(/\s*\S+|\s+$/g) ?? [];
}

export function usageOf(answers: readonly Answered[]) {
  const sum = (of: (answer: Answered) => number) => answers.reduce((all, a) => all + of(a), 0);
  const [input, output] = [sum((a) => a.inputTokens), sum((a) => a.outputTokens)];
  return { prompt_tokens: input, completion_tokens: output, total_tokens: input + output };
}

/** What OpenAI's shapes have no place for: the prompt that a policy wrote. */
function extra({ prompt }: Answered) {
  return prompt === undefined ? {} : { whetstone: { prompt } };
}

function chatLogProbs({ words = [] }: Answered, top: number) {
  const told = words.map(({ word, logProb }) => ({
    token: word,
    logprob: logProb,
    bytes: [...new TextEncoder().encode(word)],
  }));
  return { content: [{ ...told[0]!, top_logprobs: told.slice(0, top) }], refusal: null };
}

function oldLogProbs({ words = [] }: Answered, top: number) {
  const [best] = words;
  const told = words.slice(0, top).map(({ word, logProb }) => [word, logProb]);
  return {
    tokens: [best!.word],
    token_logprobs: [best!.logProb],
    top_logprobs: top > 0 ? [Object.fromEntries(told)] : null,
    text_offset: [0],
  };
}
