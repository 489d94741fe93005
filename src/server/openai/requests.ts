/**
 * Requests as OpenAI's API has them, as far as a found prompt can serve them: what would change the
 * meaning of an answer (tools, pictures, several answers) is refused, what only tunes it is ignored.
 * Source: platform.openai.com/docs/api-reference, chat and completions.
 */
import { z } from 'zod';
import type { Message } from '../../providers/index.ts';
import type { Ask } from './responder.ts';

const textPart = z.object({ type: z.literal('text'), text: z.string() });
/** What an earlier answer was refused with. */
const refusalPart = z
  .object({ type: z.literal('refusal'), refusal: z.string() })
  .transform(({ refusal }) => ({ text: refusal }));
const content = z.union(
  [z.string(), z.array(z.union([textPart, refusalPart]))],
  'expected a text, or parts of the type "text"; pictures, sound and files are not served',
);
/** A field that must be left out, or empty. */
const none = (sentence: string) => z.array(z.unknown()).max(0, sentence).nullish();
const NO_TOOLS = 'tools are not served, a found prompt answers in text';

const common = {
  model: z.string(),
  stream: z.boolean().nullish(),
  stream_options: z.object({ include_usage: z.boolean().nullish() }).nullish(),
  temperature: z.number().min(0).max(2).nullish(),
  top_p: z.number().gt(0).max(1).nullish(),
  max_tokens: z.int().min(1).nullish(),
  stop: z
    .union(
      [z.string().min(1), z.array(z.string().min(1)).max(4)],
      'expected a text, or up to four, none of them empty',
    )
    .nullish(),
  seed: z.int().nullish(),
  n: z.literal(1, 'one answer a request is given here, leave n out').nullish(),
  metadata: z.object({ question: z.string().optional() }).nullish(),
};

export const chatSchema = z.object({
  ...common,
  messages: z
    .array(
      z.object({
        role: z.enum(
          ['system', 'developer', 'user', 'assistant'],
          `expected system, developer, user or assistant; ${NO_TOOLS}`,
        ),
        content: content.nullish(),
        tool_calls: none(NO_TOOLS),
      }),
    )
    .min(1)
    .max(10_000),
  max_completion_tokens: z.int().min(1).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  tools: none(NO_TOOLS),
  functions: none(NO_TOOLS),
  modalities: z.array(z.literal('text', 'answers are text alone, leave modalities out')).nullish(),
  response_format: z
    .object({ type: z.literal('text', 'answers are text alone, leave response_format out') })
    .nullish(),
});

export const completionSchema = z.object({
  ...common,
  prompt: z.union(
    [z.string(), z.array(z.string()).min(1).max(256)],
    'expected a text, or from 1 to 256 texts; token ids are not served',
  ),
  logprobs: z.int().min(0).max(20).nullish(),
  echo: z.literal(false, 'the prompt is not given back, leave echo out').nullish(),
  suffix: z.literal('', 'nothing is written before a suffix, leave suffix out').nullish(),
  best_of: z.literal(1, 'one answer is drawn, leave best_of out').nullish(),
});

export type ChatRequest = z.infer<typeof chatSchema>;
export type CompletionRequest = z.infer<typeof completionSchema>;

/** What is asked by the last message of the user, after all that stands before it. */
export function askOfChat(request: ChatRequest): Ask | undefined {
  const messages = request.messages.map(({ role, content }) => ({ role, content: plain(content) }));
  const at = messages.findLastIndex(({ role }) => role === 'user');
  if (at < 0 || messages[at]!.content.trim() === '') return undefined;
  const conversation = messages
    .slice(0, at)
    .filter((m): m is Message => m.role === 'user' || m.role === 'assistant')
    .filter((m) => m.content.trim() !== '');
  const maxTokens = request.max_completion_tokens ?? request.max_tokens;
  return { input: messages[at]!.content, conversation, ...tuning(request, maxTokens) };
}

export function asksOfCompletion(request: CompletionRequest): Ask[] {
  const inputs = typeof request.prompt === 'string' ? [request.prompt] : request.prompt;
  const asked = tuning(request, request.max_tokens);
  return inputs.map((input) => ({ input, conversation: [], ...asked }));
}

function tuning(
  { temperature, top_p, stop, seed, metadata }: ChatRequest | CompletionRequest,
  maxTokens: number | null | undefined,
): Omit<Ask, 'input' | 'conversation'> {
  return {
    maxTokens: maxTokens ?? undefined,
    temperature: temperature ?? undefined,
    topP: top_p ?? undefined,
    stop: typeof stop === 'string' ? [stop] : (stop ?? undefined),
    seed: seed ?? undefined,
    question: metadata?.question,
  };
}

function plain(content: ChatRequest['messages'][number]['content']): string {
  if (typeof content === 'string') return content;
  return (content ?? []).map(({ text }) => text).join('');
}
