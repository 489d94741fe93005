/**
 * How long a request is before anybody has counted it. The estimate serves the rate limits, the bound
 * serves the budget: a token of a byte-level vocabulary covers at least one byte, and a chat template
 * adds a few tokens to each message.
 */
import type { Message } from './text-model.ts';

const PER_MESSAGE = 8;
const PER_REQUEST = 64;

export interface TokenEstimate {
  readonly likely: number;
  readonly most: number;
}

export function estimateTokens(messages: readonly Message[]): TokenEstimate {
  let bytes = 0;
  for (const { content } of messages) bytes += Buffer.byteLength(content);
  const overhead = messages.length * PER_MESSAGE;
  return {
    likely: Math.ceil(bytes / 4) + overhead,
    most: bytes + overhead + PER_REQUEST,
  };
}
