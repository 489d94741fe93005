/** The log-probabilities in an answer of the shape of OpenAI's chat completions. */
import type { ChatResult } from './provider.ts';
import type { Alternative } from './text-model.ts';

interface Told {
  readonly token?: unknown;
  readonly logprob?: unknown;
}

interface Body {
  readonly choices?: readonly {
    readonly logprobs?: {
      readonly content?: readonly { readonly top_logprobs?: readonly Told[] | null }[] | null;
    } | null;
  }[];
}

/** `choices[0].logprobs.content[0].top_logprobs` of the answer's body. */
export function firstTokenAlternatives(
  result: Pick<ChatResult, 'response'>,
): readonly Alternative[] | undefined {
  const body = result.response?.body as Body | undefined;
  const told = body?.choices?.[0]?.logprobs?.content?.[0]?.top_logprobs;
  if (!told || told.length === 0) return undefined;
  return told
    .flatMap(({ token, logprob }) =>
      typeof token === 'string' && typeof logprob === 'number' ? [{ token, logProb: logprob }] : [],
    )
    .sort((a, b) => b.logProb - a.logProb);
}
