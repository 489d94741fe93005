/**
 * A request of OpenAI's API with a placeholder for the input, ready for curl. The prompt stands in its
 * place, since a request knows no slots; reading takes it out again by the run's template.
 * Source: platform.openai.com/docs/api-reference, chat and completions.
 */
import { z } from 'zod';
import { DataError } from '../../errors.ts';
import { exporter } from '../exporter.ts';
import type { Finding } from '../finding.ts';
import { type Bound, bind, hasSlot, possibleStands, standsFor, unbind } from '../form.ts';
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
    const bound = boundOf(body.data);
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

function boundOf(body: z.infer<typeof requestSchema>): Bound {
  if ('prompt' in body) return { kind: 'completion', text: body.prompt };
  return {
    kind: 'chat',
    messages: body.messages.map((message) =>
      message.content === CONVERSATION ? { kind: 'conversation' } : { kind: 'message', ...message },
    ),
  };
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
  const messages = bound.messages.map((message) =>
    message.kind === 'conversation'
      ? { role: 'user', content: CONVERSATION }
      : { role: message.role, content: message.content },
  );
  // OpenAI's own models take the new name alone, other servers the old one.
  const limit = provider === 'openai' ? 'max_completion_tokens' : 'max_tokens';
  return { model, messages, [limit]: maxTokens, ...end };
}

function noteOf(finding: Finding): string {
  const { form, prompt, answers, config } = finding;
  const { input, question } = standsFor(prompt);
  const server = serverOf(finding);
  const path = form.kind === 'chat' ? 'chat/completions' : 'completions';
  const words = answers.labels?.map(({ word }) => JSON.stringify(word)).join(', ');
  const lines = [
    `# ${FILE}: a request for /${path}`,
    '',
    `\`${input}\` stands for the text that is asked about.`,
    ...(hasSlot(form, 'question') ? [`\`${question}\` stands for the question.`] : []),
    ...(form.kind === 'chat'
      ? [
          `The message \`${CONVERSATION}\` stands for the messages that were said before${config.task.conversation === undefined ? ': take it out where there are none' : ''}.`,
        ]
      : ['The model goes on with the text: it must be served without a chat template.']),
    ...(words ? [`The answer is the likeliest of ${words}.`] : []),
    '',
    '```sh',
    ...command(server, path, input, form.kind === 'chat'),
    '```',
    '',
  ];
  return lines.join('\n');
}

function command(server: Server, path: string, input: string, isChat: boolean): string[] {
  const key = server.keyVariable ? ` -H "Authorization: Bearer $${server.keyVariable}"` : '';
  const drop = isChat ? `.messages |= map(select(.content != "${CONVERSATION}")) | ` : '';
  return [
    `jq --arg text "$TEXT" '${drop}walk(if type == "string" then split("${input}") | join($text) else . end)' ${FILE} |`,
    `  curl -s ${shellWord(`${server.baseUrl}/${path}`)} -H "Content-Type: application/json"${key} -d @-`,
  ];
}

function shellWord(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
