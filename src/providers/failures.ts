/**
 * Why a call has no answer, what may cure it, and the one sentence that says so. A status and the
 * server's own words, in whichever of the common shapes, become a `CallFailure`.
 */
import { ConfigError, NetworkError, type WhetstoneError } from '../errors.ts';
import { truncate, visible } from '../util/text.ts';
import { retryAfterMs } from './rate-limits.ts';
import type { Key } from './secrets.ts';
import type { HttpAnswer } from './transport.ts';

/** What a failure concerns, and so what is done about it. */
export type FailureKind =
  | 'limited' // the server asks for patience: try again, for as long as it answers anybody
  | 'transient' // another try may cure it: a few times
  | 'request' // this request alone
  | 'long' // this request alone: it is longer than the model's window
  | 'all'; // every request to this model

export class CallFailure extends Error {
  readonly kind: FailureKind;
  readonly error: WhetstoneError;
  /** How long the server asks to wait. */
  readonly afterMs: number | undefined;
  constructor(kind: FailureKind, error: WhetstoneError, afterMs?: number) {
    super(error.message);
    this.kind = kind;
    this.error = error;
    this.afterMs = afterMs;
  }

  /** One that was recorded. */
  static again({ kind, message }: { readonly kind: string; readonly message: string }) {
    return new CallFailure(kind as FailureKind, new NetworkError(message));
  }
}

/** What the sentences need to know of a model. */
export interface Identity {
  /** "openai:gpt-4o-mini". */
  readonly name: string;
  readonly baseUrl: string;
  readonly key: Key | undefined;
  readonly redact: (text: string) => string;
  /** False until the model has answered once: then its address and key are known to be right. */
  readonly hasAnswered: boolean;
}

const TOO_LONG =
  /context.?(length|window|size)|maximum context|(prompt|input|request) is too long|too large for model|input token count|exceed_context/i;
const BAD_KEY = /api.?key not valid|invalid.{0,12}api.?key|API_KEY_INVALID/i;
const NO_CREDIT =
  /insufficient_quota|credit balance|insufficient.{0,10}(credit|balance|fund)|billing_not_active|exceeded your monthly/i;
const NO_MODEL =
  /model.{0,80}(not found|does not exist)|invalid model|unknown model|no such model|model_not_found/i;

/** A refusal by status. `tokens` is our estimate of the request's length. */
export function httpFailure(
  { status, headers, body }: HttpAnswer,
  who: Identity,
  tokens: { readonly input: number; readonly output: number },
): CallFailure {
  const said = serverWords(body, who.redact);
  const quoted = said ? `: "${said}"` : '';
  const all = (sentence: string) => new CallFailure('all', new ConfigError(sentence));
  if (status === 401 || status === 403 || (status === 400 && BAD_KEY.test(body))) {
    const what = who.key ? `the key in ${who.key.variable} was refused` : 'a key is wanted';
    const mend = who.key ? 'check it' : 'name one by apiKey: env:NAME';
    // Nothing quoted: servers like to repeat a part of the key here.
    return all(`${who.name}: ${what} by ${who.baseUrl} (${status}); ${mend}`);
  }
  if (status === 402 || ((status === 429 || status < 404) && NO_CREDIT.test(body))) {
    const sentence = `${who.name}: the account has no credit left (${status})${quoted}`;
    return new CallFailure('all', new NetworkError(sentence));
  }
  if (status >= 300 && status < 400) {
    const place = headers.location ? ` to ${who.redact(headers.location)}` : '';
    return all(
      `${who.name}: ${who.baseUrl} sends elsewhere${place} (${status}); set baseUrl to the final address`,
    );
  }
  const isAboutModel = (status === 400 || status === 422) && NO_MODEL.test(body);
  if (status === 404 || status === 405 || isAboutModel) {
    return all(
      `${who.name}: ${who.baseUrl} knows no such model or path (${status})${quoted}; check the model's name and baseUrl`,
    );
  }
  if (status === 429 || status === 529 || (status === 503 && headers['retry-after'])) {
    const error = new NetworkError(`${who.name}: too many requests (${status})${quoted}`);
    return new CallFailure('limited', error, retryAfterMs(headers, body));
  }
  if (status === 408 || status === 409 || status === 425 || status >= 500) {
    const error = new NetworkError(`${who.name}: the server failed (${status})${quoted}`);
    return new CallFailure('transient', error, retryAfterMs(headers, body));
  }
  if (status === 413 || TOO_LONG.test(body)) {
    return tooLong(who.name, tokens, quoted);
  }
  const error = new NetworkError(`${who.name}: the request was refused (${status})${quoted}`);
  return new CallFailure('request', error);
}

/** `why`: what follows "the model's window". */
export function tooLong(
  name: string,
  tokens: { readonly input: number; readonly output: number },
  why: string,
): CallFailure {
  const error = new NetworkError(
    `${name}: the messages (about ${tokens.input} tokens) and the answer (up to ${tokens.output}) do not fit into the model's window${why}; shorten them or take a model with a longer window`,
  );
  return new CallFailure('long', error);
}

/** A 200 whose body is no answer. */
export function unreadable(body: string, who: Identity): CallFailure {
  if (isHtml(body)) {
    return new CallFailure(
      who.hasAnswered ? 'transient' : 'all',
      new NetworkError(
        `${who.name}: ${who.baseUrl} answers with a web page, not with JSON; check baseUrl`,
      ),
    );
  }
  const start = excerpt(who.redact(body));
  const what = body.trim() === '' ? 'nothing' : `"${start}"`;
  const sentence = `${who.name}: expected a completion in JSON, got ${what}`;
  return new CallFailure('transient', new NetworkError(sentence));
}

/** A stream that told of a failure in place of the rest of its answer. */
export function brokenOff(problem: unknown, who: Identity): CallFailure {
  const said = serverWords(JSON.stringify({ error: problem }), who.redact);
  const sentence = `${who.name}: the server broke its answer off${said ? `: "${said}"` : ''}`;
  return new CallFailure('transient', new NetworkError(sentence));
}

export function isHtml(body: string): boolean {
  return /^\s*<(!doctype|html|head|body|\?xml)/i.test(body);
}

/** What the server said, in one line: of {error: {message}}, {message}, {detail}, or plain text. */
function serverWords(body: string, redact: (text: string) => string): string {
  if (isHtml(body)) return '';
  let words: unknown = body;
  try {
    words = JSON.parse(body);
  } catch {} // plain text says what it says
  for (let depth = 0; depth < 4 && typeof words === 'object' && words !== null; depth++) {
    const record = (Array.isArray(words) ? words[0] : words) as Record<string, unknown> | undefined;
    words = record?.error ?? record?.message ?? record?.detail ?? record?.msg ?? '';
  }
  return typeof words === 'string' ? excerpt(redact(words)) : '';
}

function excerpt(text: string): string {
  return truncate(visible(text.trim()), 240);
}
