/** The words of real servers, as their documentation and their users quote them. */
import { describe, expect, it } from 'vitest';
import { httpFailure, unreadable } from './failures.ts';
import { redactor } from './secrets.ts';

const KEY = { value: 'sk-0123456789abcdef', variable: 'MY_KEY' };
const who = {
  name: 'p:m',
  baseUrl: 'https://api.example.org/v1',
  key: KEY,
  redact: redactor(KEY),
  hasAnswered: true,
};
const failure = (status: number, body: unknown, headers = {}) =>
  httpFailure(
    { status, headers, body: typeof body === 'string' ? body : JSON.stringify(body) },
    who,
    { input: 900, output: 100 },
  );
const openai = (message: string, code: string | null = null) => ({ error: { message, code } });

describe('httpFailure', () => {
  it.each([
    [
      'OpenAI, window',
      400,
      openai(
        "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
      ),
      'long',
    ],
    [
      'Anthropic, window',
      400,
      {
        type: 'error',
        error: {
          type: 'invalid_request_error',
          message: 'prompt is too long: 210000 tokens > 200000 maximum',
        },
      },
      'long',
    ],
    [
      'Gemini, window',
      400,
      {
        error: {
          code: 400,
          message:
            'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
          status: 'INVALID_ARGUMENT',
        },
      },
      'long',
    ],
    [
      'Mistral, window',
      400,
      {
        object: 'error',
        message:
          'Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length',
      },
      'long',
    ],
    [
      'llama.cpp, window',
      400,
      {
        error: {
          code: 400,
          message:
            'request (6031 tokens) exceeds the available context size (2048 tokens), try increasing it',
          type: 'exceed_context_size_error',
        },
      },
      'long',
    ],
    [
      'vLLM, window',
      400,
      { object: 'error', message: "This model's maximum context length is 4096 tokens." },
      'long',
    ],
    ['a body that is too large', 413, 'Payload Too Large', 'long'],
    [
      'OpenAI, no credit',
      429,
      openai(
        'You exceeded your current quota, please check your plan and billing details.',
        'insufficient_quota',
      ),
      'all',
    ],
    [
      'Anthropic, no credit',
      400,
      {
        type: 'error',
        error: { message: 'Your credit balance is too low to access the Anthropic API.' },
      },
      'all',
    ],
    [
      'Hugging Face, no credit',
      402,
      { error: 'You have exceeded your monthly included credits for Inference Providers.' },
      'all',
    ],
    [
      'Gemini, wrong key',
      400,
      {
        error: {
          code: 400,
          message: 'API key not valid. Please pass a valid API key.',
          status: 'INVALID_ARGUMENT',
        },
      },
      'all',
    ],
    [
      'Mistral, unknown model',
      400,
      { object: 'error', message: 'Invalid model: mistral-huge', code: '1500' },
      'all',
    ],
    ['Ollama, unknown model', 404, openai('model "llama9" not found, try pulling it first'), 'all'],
    ['a redirect', 301, '', 'all'],
    [
      'Gemini, too fast',
      429,
      {
        error: {
          code: 429,
          message: 'You exceeded your current quota, please check your plan',
          status: 'RESOURCE_EXHAUSTED',
        },
      },
      'limited',
    ],
    [
      'Anthropic, overloaded',
      529,
      { type: 'error', error: { type: 'overloaded_error', message: 'Overloaded' } },
      'limited',
    ],
    ['a bad gateway', 502, '<html><h1>Bad Gateway', 'transient'],
    [
      'OpenAI, a parameter',
      400,
      openai("Unsupported parameter: 'max_tokens' is not supported with this model."),
      'request',
    ],
    ['FastAPI', 422, { detail: [{ msg: 'field required' }] }, 'request'],
  ])('%s', (_name, status, body, kind) => {
    expect(failure(status, body).kind).toBe(kind);
  });

  it('quotes the server in one line, without the key and without control characters', () => {
    const { message } = failure(400, openai(`bad\n\u001b[31m ${KEY.value}\u202e`));
    expect(message).toBe('p:m: the request was refused (400): "bad⏎␛[31m [key]\\u202e"');
    expect(failure(422, { detail: [{ msg: 'field required' }] }).message).toContain(
      'field required',
    );
    expect(failure(502, '<html><h1>Bad Gateway').message).toBe('p:m: the server failed (502)');
  });

  it("reads Google's waiting time", () => {
    const details = [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '34s' }];
    expect(failure(429, { error: { message: 'slow', details } }).afterMs).toBe(34_000);
  });
});

describe('unreadable', () => {
  it('tells a web page from a broken answer', () => {
    expect(unreadable('<!doctype html>', { ...who, hasAnswered: false }).kind).toBe('all');
    expect(unreadable('<!doctype html>', who).kind).toBe('transient');
    expect(unreadable('{"a": 1', who).message).toBe(
      'p:m: expected a completion in JSON, got "{"a": 1"',
    );
    expect(unreadable('', who).message).toMatch(/got nothing$/);
  });
});
