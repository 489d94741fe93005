/**
 * promptfooconfig.yaml: the prompt, the task LM, and tests made of the validation examples. Test
 * examples stay out: a file that is looked at again and again must not hold them.
 *
 * Promptfoo reads prompts as Nunjucks templates: messages once, a bare text twice. A brace of ours is
 * written as an expression that gives it, for each reading anew. An example that holds braces, or what
 * promptfoo takes for a file, makes no test, since values are read as templates too.
 * Source: promptfoo.dev/docs/configuration; src/evaluatorHelpers.ts, `renderPrompt`.
 */
import { parse } from 'yaml';
import { z } from 'zod';
import { DataError } from '../../errors.ts';
import type { AnyExample } from '../../tasks/index.ts';
import { exporter } from '../exporter.ts';
import type { Finding } from '../finding.ts';
import { type Bound, bind, hasSlot, standsFor, unbind, withConversation } from '../form.ts';
import { jsonText, yamlLiteral } from '../literal.ts';
import { serverOf } from '../provider-of.ts';
import { jsonOf, textOf } from '../read-files.ts';

const FILE = 'promptfooconfig.yaml';
const MOST_TESTS = 200;
/** Holds a line end, by which promptfoo knows that the text is no path, and comes to nothing. */
const NO_PATH = '{#\n#}';

export const promptfoo = exporter({
  name: 'promptfoo',
  kinds: ['text'],
  asking: ['completion', 'chat'],
  refuses: ({ config }) =>
    config.task.conversation === undefined
      ? undefined
      : 'has one text for every example, and this task has a conversation before each',
  write: (finding) => [{ name: FILE, data: configOf(finding) }],
  read: ({ files, finding }) => {
    const raw = rawOf(textOf(files, FILE));
    const isChat = finding.form.kind === 'chat';
    const contents = isChat ? messagesOf(raw) : [{ role: '', content: raw.replace(NO_PATH, '') }];
    const read = contents.map(({ content }) => unescaped(content, isChat ? 1 : 2));
    const literal = read.flat().map((piece) => ('text' in piece ? piece.text : ''));
    const stands = standsFor(literal.join(''));
    const texts = read.map((pieces) =>
      pieces.map((piece) => ('text' in piece ? piece.text : stands[piece.slot])).join(''),
    );
    const prompt = unbind(finding.form, boundOf(finding, contents, texts), stands);
    if (prompt !== undefined) return { kind: 'text', prompt, template: finding.template };
    throw new DataError(`${FILE}: does not hold a prompt in the run's template`);
  },
});

function boundOf(
  { form }: Finding,
  contents: readonly { readonly role: string }[],
  texts: readonly string[],
): Bound {
  if (form.kind === 'completion') return { kind: 'completion', text: texts[0]! };
  const messages = texts.map((content, i) => ({
    kind: 'message' as const,
    role: contents[i]!.role,
    content,
  }));
  return { kind: 'chat', messages: withConversation(form, messages) };
}

const configSchema = z.object({ prompts: z.tuple([z.object({ raw: z.string() })]) });
const messagesSchema = z.array(z.object({ role: z.string(), content: z.string() }));

function rawOf(text: string): string {
  let value: unknown;
  try {
    value = parse(text);
  } catch (error) {
    throw new DataError(`${FILE}: cannot be read again (${(error as Error).message})`);
  }
  const config = configSchema.safeParse(value);
  if (config.success) return config.data.prompts[0].raw;
  throw new DataError(`${FILE}: holds no prompt`);
}

function messagesOf(raw: string): z.infer<typeof messagesSchema> {
  const messages = messagesSchema.safeParse(jsonOf(raw, FILE));
  if (messages.success) return messages.data;
  throw new DataError(`${FILE}: its prompt is no list of messages`);
}

function configOf(finding: Finding): string {
  const { task, run, prompt, form } = finding;
  const { tests, left } = testsOf(finding);
  const stands = standsFor(prompt);
  const bound = bind(form, prompt, stands);
  const put = (text: string, readings: number) => escaped(text, stands, readings);
  const raw =
    bound.kind === 'completion'
      ? NO_PATH + put(bound.text, 2)
      : jsonText(
          bound.messages.flatMap((m) =>
            m.kind === 'message' ? [{ role: m.role, content: put(m.content, 1) }] : [],
          ),
        );
  const config = {
    description: `Whetstone, run ${run.id}: ${task.name.replaceAll('{', '(')}`,
    prompts: [{ label: `whetstone ${run.id}`, raw }],
    providers: [providerOf(finding)],
    defaultTest: { options: { transform: 'output.trim()' } },
    tests,
  };
  const note = [
    '# Tests are validation examples; the sealed test split is not in this file.',
    ...(left > 0 ? [`# ${left} of ${tests.length + left} validation examples are left out: more than ${MOST_TESTS}, or with braces.`] : []), // biome-ignore format: one value
    ...(serverOf(finding).provider === 'local'
      ? [
          '# The task LM is a local one: serve the same model by an OpenAI-compatible server at apiBaseUrl.',
        ]
      : []),
  ];
  return `${note.join('\n')}\n${yamlOf(config)}\n`;
}

function providerOf(finding: Finding): object {
  const { provider, model, baseUrl, keyVariable } = serverOf(finding);
  const { maxTokens, stop } = finding.answers;
  const config = { temperature: 0, max_tokens: maxTokens, ...(stop.length > 0 ? { stop } : {}) };
  const kind = finding.form.kind === 'chat' ? 'chat' : 'completion';
  const own = { openai: `openai:${kind}`, anthropic: 'anthropic:messages', mistral: 'mistral', google: 'google' }[provider]; // biome-ignore format: one value
  if (own !== undefined) return { id: `${own}:${model}`, config };
  // Without a key promptfoo asks for OpenAI's, unless it is told that there is none.
  const key = keyVariable === undefined ? { apiKeyRequired: false } : { apiKeyEnvar: keyVariable };
  return { id: `openai:${kind}:${model}`, config: { ...config, apiBaseUrl: baseUrl, ...key } };
}

function testsOf(finding: Finding): { tests: object[]; left: number } {
  const all: readonly AnyExample[] = finding.task.validation;
  const tests: object[] = [];
  for (const example of all) {
    const vars = {
      input: example.input,
      ...(hasSlot(finding.form, 'question') ? { question: example.question ?? '' } : {}),
    };
    const golds = goldsOf(example, finding);
    const isPlain = [...Object.values(vars), ...golds].every(
      (text) => !/[{}]|^file:\/\//.test(text),
    );
    if (isPlain && tests.length < MOST_TESTS)
      tests.push({ vars, assert: assertions(golds, finding) });
  }
  return { tests, left: all.length - tests.length };
}

function goldsOf(example: AnyExample, { answers }: Finding): readonly string[] {
  if ('golds' in example) return example.golds;
  return [answers.labels![example.label]!.word];
}

/** As near to the task's metric as promptfoo has one. */
function assertions(golds: readonly string[], { answers }: Finding): object[] {
  const [gold] = golds as [string];
  if (answers.labels) {
    const type = answers.asking === 'chat' ? 'icontains' : 'starts-with';
    return [{ type, value: gold }];
  }
  const { metric } = answers;
  if (metric === 'bleu') return [{ type: 'bleu', value: golds, threshold: 0.3 }];
  if (metric === 'rouge-l') return [{ type: 'rouge-n', value: gold, threshold: 0.5 }];
  if (metric === 'json') return [{ type: 'is-json' }];
  if (metric === 'exact' && golds.length === 1) return [{ type: 'equals', value: gold }];
  return [{ type: 'icontains-any', value: golds }];
}

/** A text for so many readings of Nunjucks; slots are filled by the first. */
function escaped(
  text: string,
  stands: { readonly input: string; readonly question: string },
  readings: number,
): string {
  const parts = text.split(new RegExp(`(${regex(stands.input)}|${regex(stands.question)})`));
  return parts
    .map((part) => {
      if (part === stands.input) return '{{input}}';
      if (part === stands.question) return '{{question}}';
      let out = part;
      for (let i = 0; i < readings; i++) out = out.replace(/[{}]+/g, (run) => `{{ "${run}" }}`);
      return out;
    })
    .join('');
}

type Read = { readonly text: string } | { readonly slot: 'input' | 'question' };

function unescaped(text: string, readings: number): Read[] {
  const out: Read[] = [];
  for (const part of text.split(/(\{\{(?:input|question)\}\})/)) {
    const slot = /^\{\{(input|question)\}\}$/.exec(part)?.[1] as 'input' | undefined;
    if (slot) out.push({ slot });
    else {
      let literal = part;
      for (let i = 0; i < readings; i++) literal = literal.replace(/\{\{ "([{}]+)" \}\}/g, '$1');
      out.push({ text: literal });
    }
  }
  return out;
}

function regex(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}

/** Plain data as block YAML, every text in double quotes. */
function yamlOf(value: unknown, indent = ''): string {
  if (typeof value === 'string') return yamlLiteral(value);
  if (value === null || typeof value !== 'object') return String(value);
  const isList = Array.isArray(value);
  const entries = Object.entries(value);
  if (entries.length === 0) return isList ? '[]' : '{}';
  const lines = entries.map(([key, one]) => {
    const isDeep = one !== null && typeof one === 'object' && Object.keys(one).length > 0;
    const head = isList ? '-' : `${key}:`;
    if (!isDeep) return `${indent}${head} ${yamlOf(one)}`;
    const below = yamlOf(one, `${indent}  `);
    return isList ? `${indent}- ${below.trimStart()}` : `${indent}${head}\n${below}`;
  });
  return lines.join('\n');
}
