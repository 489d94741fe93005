/** Sums as a task that is answered behind an API: rows, a configuration, a server here that does them. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Answer,
  type Asked,
  formats,
  type ProviderServer,
  type Reply,
  startServer,
} from './provider-server.ts';
import { apply, sums } from './text-models.ts';

/** What most servers speak. */
const format = formats.find(({ provider }) => provider === 'openai-compatible')!;

/** Starts a server that answers as the script says. */
export function startChatServer(
  script: (asked: Asked) => Reply | Promise<Reply>,
): Promise<ProviderServer> {
  return startServer(format, script);
}

/** A server's model, as a configuration names it. */
export function chatModel({ baseUrl }: { readonly baseUrl: string }, model: string, more = {}) {
  return { provider: 'openai-compatible', model, baseUrl, ...more };
}

export const sumsTask = {
  kind: 'arithmetic',
  data: 'sums.jsonl',
  input: 'problem',
  gold: 'answer',
} as const;

export interface SumsOptions {
  /** Keys in place of those that it has, such as the method. */
  readonly config?: object;
  /** Of both models, beside the server. */
  readonly model?: object;
  /** @default whetstone.yaml */
  readonly name?: string;
  /** @default 40 */
  readonly rows?: number;
}

/** Writes rows and a configuration: "calculator" of the server answers, "writer" writes. Returns its path. */
export async function writeSums(
  folder: string,
  server: { readonly baseUrl: string },
  { config = {}, model = {}, name = 'whetstone.yaml', rows = 40 }: SumsOptions = {},
): Promise<string> {
  const lines = sums(rows).map((row) => `${JSON.stringify(row)}\n`);
  await writeFile(join(folder, sumsTask.data), lines.join(''));
  const models = {
    taskLm: chatModel(server, 'calculator', model),
    policyLm: chatModel(server, 'writer', model),
  };
  const path = join(folder, name);
  await writeFile(path, JSON.stringify({ task: sumsTask, ...models, ...config }));
  return path;
}

/** Heeds precedence when it is told to be careful. */
export function calculate({ messages }: Asked): Answer {
  const system = messages.find(({ role }) => role === 'system')?.content ?? '';
  const [a, p, b, q, c] = messages.at(-1)!.content.trim().split(/\s+/);
  const isCareful = /carefully/i.test(system) && q === '*';
  const value = isCareful
    ? apply(Number(a), p!, Number(b) * Number(c))
    : apply(apply(Number(a), p!, Number(b)), q!, Number(c));
  return { text: `= ${value}` };
}
