/** Answers as server-sent events, each piece on its way as soon as it is known to stay. */
import type { Context } from 'hono';
import { type SSEStreamingApi, streamSSE } from 'hono/streaming';
import type { Head, Shape } from './answers.ts';
import type { Answered, Ask } from './responder.ts';

export interface StreamOptions {
  readonly shape: Shape;
  readonly head: Head;
  readonly asks: readonly Ask[];
  readonly withUsage: boolean;
  /** Answers as a queue gives them, in the order of `asks`; told of each piece by `Ask.onText`. */
  readonly answer: (asks: readonly Ask[]) => Promise<readonly Answered[]>;
  /** A failure before anything was sent, as an answer with a status of its own. */
  readonly refuse: (error: unknown) => Response;
  /** A failure after that, as the body of the stream's last event. */
  readonly broken: (error: unknown) => object;
  /** The client went away. */
  readonly gone: () => void;
  /** Everything was sent. */
  readonly sent: () => void;
}

/** While a stream has nothing to say, a comment is sent so often, so that nobody hangs up. */
const KEEP_ALIVE_MS = 15_000;

/**
 * The response to a request for a stream. Its head waits for the first piece (or for the time after
 * which the connection has to be kept open), so that what fails before has a status.
 */
export async function streamed(c: Context, o: StreamOptions): Promise<Response> {
  const { shape, head, withUsage } = o;
  const told = o.asks.map(() => 0);
  let begin = () => {};
  const begun = new Promise<void>((resolve) => {
    begin = resolve;
  });
  let open: (stream: SSEStreamingApi) => void = () => {};
  const opened = new Promise<SSEStreamingApi>((resolve) => {
    open = resolve;
  });
  // What is told before the stream is open waits for it, in order.
  let writing: Promise<unknown> = opened;
  const write = (chunk: object) => {
    const data = JSON.stringify(withUsage ? { usage: null, ...chunk } : chunk);
    writing = writing.then(async () => (await opened).writeSSE({ data }));
  };
  const opening = shape.opening(head);
  if (opening) write(opening);
  const answers = o.answer(
    o.asks.map((ask, index) => ({
      ...ask,
      onText: (piece: string) => {
        told[index]! += piece.length;
        write(shape.piece(head, index, piece));
        begin();
      },
    })),
  );
  const failure = await Promise.race([
    begun.then(() => undefined),
    answers.then(
      () => undefined,
      (error: unknown) => ({ error }),
    ),
    pause(),
  ]);
  if (failure) {
    o.sent();
    return o.refuse(failure.error);
  }
  return streamSSE(c, async (stream) => {
    stream.onAbort(o.gone);
    const alive = setInterval(() => void stream.write(': waiting\n\n'), KEEP_ALIVE_MS);
    open(stream);
    try {
      const all = await answers;
      all.forEach((answer, index) => {
        const rest = answer.text.slice(told[index]);
        if (rest !== '') write(shape.piece(head, index, rest, answer));
        write(shape.end(head, index, answer));
      });
      if (withUsage) write(shape.usageChunk(head, all));
      await writing;
    } catch (error) {
      await writing;
      await stream.writeSSE({ event: 'error', data: JSON.stringify(o.broken(error)) });
    } finally {
      clearInterval(alive);
    }
    await stream.writeSSE({ data: '[DONE]' });
    o.sent();
  });
}

function pause(): Promise<undefined> {
  return new Promise((resolve) => setTimeout(resolve, KEEP_ALIVE_MS, undefined).unref());
}
