/**
 * A server on this machine that speaks the wire formats of the providers as they document them, and
 * does what a script says: answer, refuse, hang, cut the body. It keeps its own account of what it
 * was asked and what it would charge for. No part of it knows the code that is tested.
 */
import http from 'node:http';
import type { AddressInfo } from 'node:net';

/** What the server saw of a request, whatever its format. */
export interface Asked {
  readonly model: string;
  readonly messages: readonly { readonly role: string; readonly content: string }[];
  readonly maxTokens: number;
  readonly temperature: number | undefined;
  readonly stop: readonly string[];
  readonly seed: number | undefined;
  readonly topLogProbs: number | undefined;
  readonly headers: http.IncomingHttpHeaders;
  /** Milliseconds of performance.now at its arrival. */
  readonly at: number;
  /** Of the requests so far, from 0. */
  readonly number: number;
}

export interface Answer {
  readonly text: string;
  readonly finish?: 'stop' | 'length' | 'refusal';
  readonly input?: number;
  readonly output?: number;
  readonly logProbs?: readonly (readonly [token: string, logProb: number])[];
}

export type Reply =
  | Answer
  /** A refusal in the format's own shape. */
  | { readonly status: number; readonly message: string; readonly headers?: object }
  /** Bytes as they are. */
  | { readonly raw: string; readonly status?: number; readonly type?: string }
  | { readonly hang: true }
  /** The head and half of the body, then the connection ends. */
  | { readonly cut: Answer };

export interface Format {
  /** The provider that speaks it. */
  readonly provider: string;
  /** What the reference's baseUrl ends in. */
  readonly path: string;
  readonly keyHeader: string;
  read(body: Record<string, unknown>, url: string): Omit<Asked, 'headers' | 'at' | 'number'>;
  answer(answer: Answer, model: string): object;
  refusal(status: number, message: string): object;
}

const words = (text: string) => Math.max(1, Math.ceil(text.length / 4));

// platform.openai.com/docs/api-reference/chat; Mistral and the compatible servers follow it.
const chat = (provider: string, refuses: 'refusal' | 'content_filter' | 'none'): Format => ({
  provider,
  path: '/v1',
  keyHeader: 'authorization',
  read: (body) => ({
    model: String(body.model),
    messages: (body.messages as { role: string; content: unknown }[]).map(({ role, content }) => ({
      role,
      content: Array.isArray(content)
        ? content.map((part: { text: string }) => part.text).join('')
        : String(content),
    })),
    maxTokens: Number(body.max_tokens ?? body.max_completion_tokens),
    temperature: body.temperature as number | undefined,
    stop: (body.stop ?? []) as string[],
    seed: (body.seed ?? body.random_seed) as number | undefined,
    topLogProbs: body.logprobs ? (body.top_logprobs as number) : undefined,
  }),
  answer: ({ text, finish = 'stop', input = 11, output = words(text), logProbs }, model) => ({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1700000000,
    model,
    choices: [
      {
        index: 0,
        message:
          finish === 'refusal' && refuses === 'refusal'
            ? { role: 'assistant', content: null, refusal: text }
            : { role: 'assistant', content: text },
        logprobs: logProbs
          ? {
              content: [
                {
                  token: logProbs[0]![0],
                  logprob: logProbs[0]![1],
                  bytes: null,
                  top_logprobs: logProbs.map(([token, logprob]) => ({
                    token,
                    logprob,
                    bytes: null,
                  })),
                },
              ],
            }
          : null,
        finish_reason:
          finish !== 'refusal' ? finish : refuses === 'content_filter' ? 'content_filter' : 'stop',
      },
    ],
    usage: { prompt_tokens: input, completion_tokens: output, total_tokens: input + output },
  }),
  refusal: (status, message) =>
    provider === 'mistral'
      ? { object: 'error', message, type: 'invalid_request_error', param: null, code: '1500' }
      : { error: { message, type: `error_${status}`, param: null, code: null } },
});

// docs.anthropic.com/en/api/messages, .../errors
const messages: Format = {
  provider: 'anthropic',
  path: '/v1',
  keyHeader: 'x-api-key',
  read: (body) => ({
    model: String(body.model),
    messages: [
      ...((body.system ?? []) as { text: string }[]).map(({ text }) => ({
        role: 'system',
        content: text,
      })),
      ...(body.messages as { role: string; content: { text: string }[] }[]).map(
        ({ role, content }) => ({ role, content: content.map(({ text }) => text).join('') }),
      ),
    ],
    maxTokens: Number(body.max_tokens),
    temperature: body.temperature as number | undefined,
    stop: (body.stop_sequences ?? []) as string[],
    seed: undefined,
    topLogProbs: undefined,
  }),
  answer: ({ text, finish = 'stop', input = 11, output = words(text) }, model) => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model,
    content: text === '' ? [] : [{ type: 'text', text }],
    stop_reason: { stop: 'end_turn', length: 'max_tokens', refusal: 'refusal' }[finish],
    stop_sequence: null,
    usage: { input_tokens: input, output_tokens: output },
  }),
  refusal: (status, message) => ({ type: 'error', error: { type: `error_${status}`, message } }),
};

// ai.google.dev/api/generate-content
const generateContent: Format = {
  provider: 'google',
  path: '/v1beta',
  keyHeader: 'x-goog-api-key',
  read: (body, url) => {
    const config = (body.generationConfig ?? {}) as Record<string, unknown>;
    const textOf = (content: { parts: { text: string }[] }) =>
      content.parts.map(({ text }) => text).join('');
    return {
      model: /models\/(.+):generateContent/.exec(url)![1]!,
      messages: [
        ...(body.systemInstruction
          ? [{ role: 'system', content: textOf(body.systemInstruction as never) }]
          : []),
        ...(body.contents as { role: string; parts: { text: string }[] }[]).map((content) => ({
          role: content.role === 'model' ? 'assistant' : content.role,
          content: textOf(content),
        })),
      ],
      maxTokens: Number(config.maxOutputTokens),
      temperature: config.temperature as number | undefined,
      stop: (config.stopSequences ?? []) as string[],
      seed: config.seed as number | undefined,
      topLogProbs: undefined,
    };
  },
  answer: ({ text, finish = 'stop', input = 11, output = words(text) }, model) => ({
    candidates: [
      {
        content: { role: 'model', parts: text === '' ? [] : [{ text }] },
        finishReason: { stop: 'STOP', length: 'MAX_TOKENS', refusal: 'SAFETY' }[finish],
        index: 0,
      },
    ],
    usageMetadata: {
      promptTokenCount: input,
      candidatesTokenCount: output,
      totalTokenCount: input + output,
    },
    modelVersion: model,
  }),
  refusal: (status, message) => ({ error: { code: status, message, status: 'INVALID_ARGUMENT' } }),
};

export const formats: readonly Format[] = [
  chat('openai', 'refusal'),
  messages,
  generateContent,
  chat('mistral', 'none'),
  chat('huggingface', 'content_filter'),
  chat('aleph-alpha', 'content_filter'),
  chat('openai-compatible', 'content_filter'),
];

export interface ProviderServer {
  readonly baseUrl: string;
  readonly asked: readonly Asked[];
  /** Whole answers that went out, with what was charged for them. */
  readonly paid: { calls: number; input: number; output: number };
  close(): Promise<void>;
}

/** Starts a server of this format; `script` says what becomes of each request. */
export async function startServer(
  format: Format,
  script: (asked: Asked) => Reply | Promise<Reply>,
): Promise<ProviderServer> {
  const asked: Asked[] = [];
  const paid = { calls: 0, input: 0, output: 0 };
  const server = http.createServer((request, response) => {
    const at = performance.now();
    const pieces: Buffer[] = [];
    request.on('data', (piece: Buffer) => pieces.push(piece));
    request.on('end', async () => {
      const body = JSON.parse(Buffer.concat(pieces).toString('utf8')) as Record<string, unknown>;
      const seen = format.read(body, request.url ?? '');
      const one = { ...seen, headers: request.headers, at, number: asked.length };
      asked.push(one);
      const reply = await script(one);
      if ('hang' in reply) return;
      if ('raw' in reply) {
        response.writeHead(reply.status ?? 200, { 'content-type': reply.type ?? 'text/html' });
        response.end(reply.raw);
      } else if ('status' in reply) {
        const text = JSON.stringify(format.refusal(reply.status, reply.message));
        response.writeHead(reply.status, { 'content-type': 'application/json', ...reply.headers });
        response.end(text);
      } else {
        const answer = 'cut' in reply ? reply.cut : reply;
        const text = JSON.stringify(format.answer(answer, one.model));
        const length = Buffer.byteLength(text);
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': length });
        if ('cut' in reply) {
          response.write(text.slice(0, length / 2), () => response.destroy());
        } else {
          paid.calls++;
          paid.input += answer.input ?? 11;
          paid.output += answer.output ?? words(answer.text);
          response.end(text);
        }
      }
    });
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const { port } = server.address() as AddressInfo;
  return {
    baseUrl: `http://127.0.0.1:${port}${format.path}`,
    asked,
    paid,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
