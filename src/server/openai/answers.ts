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
  /** The chunk that a stream begins with, where it has one. */
  opening(head: Head): object | undefined;
  /** A piece of an answer, with its log-probability where it is a label word of the whole answer. */
  piece(head: Head, index: number, text: string, answer?: Answered): object;
  /** How an answer ended. */
  end(head: Head, index: number, answer: Answered): object;
  /** The last chunk, where usage was asked for. */
  usageChunk(head: Head, answers: readonly Answered[]): object;
}

/** `top` alternatives are told; undefined: none were asked for. */
export function chatShape(top: number | undefined): Shape {
  const about = (head: Head) => ({ ...head, object: 'chat.completion.chunk' });
  const logprobs = (answer: Answered | undefined) =>
    top === undefined || !answer ? null : chatLogProbs(answer, top);
  const chunk = (head: Head, index: number, delta: object, more: object = {}) => ({
    ...about(head),
    choices: [{ index, delta, logprobs: null, finish_reason: null, ...more }],
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
    opening: (head) => chunk(head, 0, { role: 'assistant', content: '' }),
    piece: (head, index, content, answer) =>
      chunk(head, index, { content }, { logprobs: logprobs(answer) }),
    end: (head, index, answer) => ({
      ...chunk(head, index, {}, { finish_reason: answer.finish }),
      ...extra(answer),
    }),
    usageChunk: (head, answers) => ({ ...about(head), choices: [], usage: usageOf(answers) }),
  };
}

export function completionShape(top: number | undefined): Shape {
  const about = (head: Head) => ({ ...head, object: 'text_completion' });
  const choice = (index: number, text: string, answer?: Answered) => ({
    index,
    text,
    logprobs: top === undefined || !answer ? null : oldLogProbs(answer, top),
    finish_reason: null,
  });
  return {
    whole: (head, answers) => ({
      ...about(head),
      choices: answers.map((answer, i) => ({
        ...choice(i, answer.text, answer),
        finish_reason: answer.finish,
      })),
      usage: usageOf(answers),
      ...extra(answers[0]!),
    }),
    opening: () => undefined,
    piece: (head, index, text, answer) => ({
      ...about(head),
      choices: [choice(index, text, answer)],
    }),
    end: (head, index, answer) => ({
      ...about(head),
      choices: [{ ...choice(index, ''), finish_reason: answer.finish }],
      ...extra(answer),
    }),
    usageChunk: (head, answers) => ({ ...about(head), choices: [], usage: usageOf(answers) }),
  };
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
