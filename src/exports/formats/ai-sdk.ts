/**
 * A TypeScript module for Vercel's AI SDK: the prompt as a constant, a function that puts it together
 * with what is asked about, and one that asks a model by `generateText`. Read again by its tokens.
 * Source: ai-sdk.dev/docs/reference/ai-sdk-core/generate-text.
 */
import { DataError } from '../../errors.ts';
import { exporter } from '../exporter.ts';
import type { Finding } from '../finding.ts';
import { type ChatPart, type Form, hasSlot, type Piece, settle, sourceOfSettled } from '../form.ts';
import { stringLiteral } from '../literal.ts';
import { textOf } from '../read-files.ts';
import { type Token, tokensOf } from './typescript-tokens.ts';

const FILE = 'prompt.ts';

export const aiSdk = exporter({
  name: 'ai-sdk',
  kinds: ['text'],
  asking: ['completion', 'chat'],
  write: (finding) => [{ name: FILE, data: moduleOf(finding) }],
  read: ({ files }) => {
    const tokens = tokensOf(textOf(files, FILE), FILE);
    const prompt = tokens[find(tokens, 'export', 'const', 'prompt', '=')];
    if (prompt?.kind !== 'string') throw broken('no constant "prompt"');
    const isChat = tokens.some(({ text }) => text === 'messages');
    const form: Form = isChat
      ? { kind: 'chat', parts: readMessages(tokens) }
      : { kind: 'completion', pieces: readSum(tokens, find(tokens, 'return')).pieces };
    return { kind: 'text', prompt: prompt.text, template: sourceOfSettled(form) };
  },
});

function moduleOf(finding: Finding): string {
  const { form, prompt } = settle(finding.form, finding.prompt);
  const { labels, maxTokens, stop } = finding.answers;
  const isChat = form.kind === 'chat';
  const asksQuestion = hasSlot(form, 'question');
  const given = [
    'input',
    ...(asksQuestion ? ['question'] : []),
    ...(isChat ? ['conversation = []'] : []),
  ].join(', ');
  const words = labels?.map(({ word }) => stringLiteral(word)).join(', ');
  const settings = [
    isChat ? 'messages: messagesFor(asked)' : 'prompt: textFor(asked)',
    'temperature: 0',
    `maxOutputTokens: ${maxTokens}`,
    ...(stop.length > 0 ? [`stopSequences: [${stop.map(stringLiteral).join(', ')}]`] : []),
  ];
  return [
    `// Found by whetstone, run ${finding.run.id}. Needs the package "ai", 5 or later.`,
    ...(isChat
      ? []
      : [
          '// The prompt was measured on a model that goes on with a text. A chat model gets the same text as a',
          '// message: measure it again there.',
        ]),
    `import { generateText, type LanguageModel${isChat ? ', type ModelMessage' : ''} } from 'ai';`,
    '',
    '/** The prompt that was found. */',
    `export const prompt = ${stringLiteral(prompt)};`,
    '',
    ...(words ? ['/** The answer is one of these. */', `export const labels = [${words}] as const;`, ''] : []), // biome-ignore format: one value
    'export interface Asked {',
    '  /** The text that is asked about. */',
    '  readonly input: string;',
    ...(asksQuestion ? ['  readonly question: string;'] : []),
    ...(isChat ? ['  /** What was said before. */', '  readonly conversation?: readonly ModelMessage[];'] : []), // biome-ignore format: one value
    '}',
    '',
    ...(isChat
      ? [
          `export function messagesFor({ ${given} }: Asked): ModelMessage[] {`,
          '  return [',
          ...form.parts.map(messageLine),
          '  ];',
          '}',
        ]
      : [
          `export function textFor({ ${given} }: Asked): string {`,
          `  return ${sumOf(form.pieces)};`,
          '}',
        ]),
    '',
    `export async function ask(model: LanguageModel, asked: Asked): Promise<${words ? '(typeof labels)[number] | undefined' : 'string'}> {`,
    '  const { text } = await generateText({',
    '    model,',
    ...settings.map((line) => `    ${line},`),
    '  });',
    ...(words
      ? [
          '  const answer = text.trim().toLowerCase();',
          '  return labels.find((label) => answer.startsWith(label.toLowerCase()));',
        ]
      : ['  return text;']),
    '}',
    '',
  ].join('\n');
}

function messageLine(part: ChatPart): string {
  if (part.kind === 'conversation') return '    ...conversation,';
  return `    { role: ${stringLiteral(part.role)}, content: ${sumOf(part.pieces)} },`;
}

function sumOf(pieces: readonly Piece[]): string {
  return pieces.map((p) => (p.kind === 'text' ? stringLiteral(p.text) : p.slot)).join(' + ');
}

/** Index after the first place where these tokens stand one after another. */
function find(tokens: readonly Token[], ...texts: readonly string[]): number {
  const at = tokens.findIndex((_, i) =>
    texts.every((text, j) => tokens[i + j]?.kind === 'other' && tokens[i + j]!.text === text),
  );
  return at < 0 ? tokens.length : at + texts.length;
}

function readMessages(tokens: readonly Token[]): ChatPart[] {
  const parts: ChatPart[] = [];
  let at = find(tokens, 'return', '[');
  const next = (text: string) => {
    if (tokens[at]?.text !== text) throw broken(`"${text}" is missing among its messages`);
    at++;
  };
  while (tokens[at] !== undefined && tokens[at]!.text !== ']') {
    if (tokens[at]!.text === '...') {
      next('...');
      next('conversation');
      parts.push({ kind: 'conversation' });
    } else {
      for (const text of ['{', 'role', ':']) next(text);
      const role = tokens[at++]!.text;
      if (role !== 'system' && role !== 'user' && role !== 'assistant')
        throw broken('a wrong role');
      for (const text of [',', 'content', ':']) next(text);
      const { pieces, end } = readSum(tokens, at);
      at = end;
      next('}');
      // A message of the AI SDK knows no mask.
      parts.push({ kind: 'message', role, pieces: pieces as never });
    }
    next(',');
  }
  return parts;
}

/** "a" + input + "b". */
function readSum(tokens: readonly Token[], start: number) {
  const pieces: Piece[] = [];
  let at = start;
  for (;;) {
    const token = tokens[at++];
    if (token?.kind === 'string') pieces.push({ kind: 'text', text: token.text });
    else if (token && SLOTS.includes(token.text as never)) {
      pieces.push({ kind: 'slot', slot: token.text as (typeof SLOTS)[number] });
    } else throw broken(`"${token?.text}" is no part of a text`);
    if (tokens[at]?.text !== '+') return { pieces, end: at };
    at++;
  }
}

const SLOTS = ['prompt', 'input', 'question'] as const;

function broken(what: string): DataError {
  return new DataError(`${FILE}: cannot be read again: ${what}`);
}
