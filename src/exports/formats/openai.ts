/**
 * A request of OpenAI's API with a placeholder for the input, ready for curl. The prompt stands in its
 * place, since a request knows no slots; reading takes it out again by the run's template.
 * Source: platform.openai.com/docs/api-reference, chat and completions.
 */
import { z } from 'zod';
import { DataError } from '../../errors.ts';
import { exporter } from '../exporter.ts';
import type { Finding } from '../finding.ts';
import {
  type Bound,
  type BoundMessage,
  bind,
  hasSlot,
  possibleStands,
  standsFor,
  unbind,
  withConversation,
} from '../form.ts';
import { jsonText } from '../literal.ts';
import { type Server, serverOf } from '../provider-of.ts';
import { jsonOf, textOf } from '../read-files.ts';

const FILE = 'openai.json';
const NOTE = 'openai.README.md';
/** A message that stands for those that were said before. */
const CONVERSATION = '{{conversation}}';

export const openai = exporter({
  name: 'openai',
  kinds: ['text'],
  asking: ['completion', 'chat'],
  write: (finding) => [
    { name: FILE, data: `${jsonText(bodyOf(finding))}\n` },
    { name: NOTE, data: noteOf(finding) },
  ],
  read: ({ files, finding }) => {
    const body = requestSchema.safeParse(jsonOf(textOf(files, FILE), FILE));
    if (!body.success) throw new DataError(`${FILE}: is no request of OpenAI's API`);
    const bound = boundOf(body.data, finding);
    for (const stands of possibleStands()) {
      const prompt = unbind(finding.form, bound, stands);
      if (prompt !== undefined) return { kind: 'text', prompt, template: finding.template };
    }
    throw new DataError(`${FILE}: does not hold a prompt in the run's template`);
  },
});

const requestSchema = z.union([
  z.object({ prompt: z.string() }),
  z.object({ messages: z.array(z.object({ role: z.string(), content: z.string() })) }),
]);

function boundOf(body: z.infer<typeof requestSchema>, finding: Finding): Bound {
  if ('prompt' in body) return { kind: 'completion', text: body.prompt };
  const messages = body.messages.map(
    (message): BoundMessage =>
      message.content === CONVERSATION ? { kind: 'conversation' } : { kind: 'message', ...message },
  );
  const isWhole = hasConversation(finding);
  return { kind: 'chat', messages: isWhole ? messages : withConversation(finding.form, messages) };
}

/** Where the task has none, a message that stands for one would be sent by who only fills in the input. */
function hasConversation({ config }: Finding): boolean {
  return config.task.conversation !== undefined;
}

function bodyOf(finding: Finding): object {
  const { form, prompt, answers } = finding;
  const bound = bind(form, prompt, standsFor(prompt));
  const { model, provider } = serverOf(finding);
  const { maxTokens, stop } = answers;
  const end = { temperature: 0, ...(stop.length > 0 ? { stop } : {}) };
  if (bound.kind === 'completion') {
    return { model, prompt: bound.text, max_tokens: maxTokens, logprobs: 5, ...end };
  }
  const messages = bound.messages.flatMap((message) => {
    if (message.kind === 'message') return [{ role: message.role, content: message.content }];
    return hasConversation(finding) ? [{ role: 'user', content: CONVERSATION }] : [];
  });
  // OpenAI's own models take the new name alone, other servers the old one.
  const limit = provider === 'openai' ? 'max_completion_tokens' : 'max_tokens';
  return { model, messages, [limit]: maxTokens, ...end };
}

function noteOf(finding: Finding): string {
  const { form, prompt, answers } = finding;
  const { input, question } = standsFor(prompt);
  const server = serverOf(finding);
  const path = form.kind === 'chat' ? 'chat/completions' : 'completions';
  const words = answers.labels?.map(({ word }) => JSON.stringify(word)).join(', ');
  const lines = [
    `# ${FILE}: a request for /${path}`,
    '',
    `\`${input}\` stands for the text that is asked about.`,
    ...(hasSlot(form, 'question') ? [`\`${question}\` stands for the question.`] : []),
    ...(hasConversation(finding)
      ? [`The message \`${CONVERSATION}\` stands for the messages that were said before.`]
      : []),
    ...(form.kind === 'chat'
      ? []
      : ['The model goes on with the text: it must be served without a chat template.']),
    ...(words ? [`The answer is the likeliest of ${words}.`] : []),
    '',
    '```sh',
    ...command(server, path, {
      input,
      ...(hasSlot(form, 'question') ? { question } : {}),
      isConversation: hasConversation(finding),
    }),
    '```',
    '',
  ];
  return lines.join('\n');
}

interface Places {
  readonly input: string;
  readonly question?: string;
  readonly isConversation: boolean;
}

/** Leaves a conversation out; each place is filled once, so that a text may hold the other's name. */
function command(server: Server, path: string, places: Places): string[] {
  const { input, question, isConversation } = places;
  const key = server.keyVariable ? ` -H "Authorization: Bearer $${server.keyVariable}"` : '';
  const drop = isConversation ? `.messages |= map(select(.content != "${CONVERSATION}")) | ` : '';
  const [argument, inner] = question === undefined ? ['', ''] : [' --arg question "$QUESTION"', `map(split("${question}") | join($question)) | `]; // biome-ignore format: one value
  return [
    `jq --arg text "$TEXT"${argument} '${drop}walk(if type == "string" then split("${input}") | ${inner}join($text) else . end)' ${FILE} |`,
    `  curl -s ${shellWord(`${server.baseUrl}/${path}`)} -H "Content-Type: application/json"${key} -d @-`,
  ];
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
