/**
 * What a trained policy does after its run: it reads a new context and writes the prompt for it; asked
 * for more, the task LM answers with that prompt.
 */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { Environment } from '../environment/index.ts';
import { ConfigError, DataError } from '../errors.ts';
import { type OwnContext, openPolicy, writePrompts } from '../methods/index.ts';
import type { LanguageModel } from '../models/language-model.ts';
import { type ContextPart, ownParts } from '../policy/index.ts';
import type { LedgerLine, Message } from '../providers/index.ts';
import { messagesSchema } from '../tasks/index.ts';
import { Engine } from '../tensor/index.ts';
import { expectation } from '../util/expectation.ts';
import type { OpenText } from './bench.ts';
import { nothingAsked } from './ledger.ts';
import { localName } from './model-reference.ts';
import { openBench } from './open-bench.ts';
import { openModel } from './open-model.ts';
import { configOf } from './run-config.ts';
import type { StoredRun } from './store.ts';
import { TextBench } from './text-bench.ts';
import type { Workbench } from './workbench.ts';

/** A context as a file holds it: a list of messages, or an object. */
export interface GivenContext extends OwnContext {
  readonly conversation?: readonly Message[] | undefined;
  /** What the task LM is asked about. */
  readonly input?: string | undefined;
}

/** An empty conversation is none. */
const conversationSchema = messagesSchema.transform((all) => (all.length > 0 ? all : undefined));
const listSchema = conversationSchema.transform((conversation) => ({ conversation }));
const objectSchema = z.strictObject({
  conversation: conversationSchema.optional(),
  question: z.string().min(1).optional(),
  input: z.string().min(1).optional(),
});

export interface WrittenResult {
  readonly kind: 'result';
  readonly prompt: string;
  readonly promptTokens: readonly number[];
  /** ln P of the whole prompt under the policy, in nats. */
  readonly logProb: number;
  /** What the policy was shown. */
  readonly reads: readonly ContextPart[];
  readonly answer?: string;
  /** P of each label word among the label words. */
  readonly shares?: Readonly<Record<string, number>>;
  /** What models that answer in text took; zeros where none was asked, as by the policy itself. */
  readonly ledger: LedgerLine;
}

/** @throws DataError when the file is missing or holds no context */
export async function readContext(path: string): Promise<GivenContext> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const reason = code === 'ENOENT' ? 'no such file' : `cannot be read (${code ?? String(error)})`;
    throw new DataError(
      `${path}: ${reason}; expected a context as JSON, as in [{"role": "user", "content": "…"}]`,
    );
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new DataError(
      `${path}: expected a context as JSON, as in [{"role": "user", "content": "…"}]`,
    );
  }
  const parsed = (Array.isArray(value) ? listSchema : objectSchema).safeParse(value);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues as [z.core.$ZodIssue];
  throw new DataError(
    `${path}: expected a list of messages {"role", "content"}, or an object with conversation, question and input; ${wrongPart(issue, value)}`,
  );
}

/** "0.role: expected system or user or assistant, got "god"" */
function wrongPart(issue: z.core.$ZodIssue, value: unknown): string {
  const names = issue.path.map(String);
  if (issue.code === 'unrecognized_keys') return `${[...names, issue.keys[0]].join('.')}: unknown key`; // biome-ignore format: one value
  return `${names.join('.') || 'the file'}: ${expectation(issue, value)}`;
}

export interface WriteOptions {
  readonly run: StoredRun;
  readonly context: GivenContext;
  readonly signal?: AbortSignal | undefined;
  /** Opens models that answer in text. @default local ones and the known providers */
  readonly openText?: OpenText | undefined;
}

/**
 * The prompt that the run's policy writes for a context.
 * @throws ConfigError when the run left no policy that writes in words, or the context lacks all that
 * the policy reads
 */
export async function write({ run, context, signal }: WriteOptions): Promise<WrittenResult> {
  const { config, folder } = configOf(run);
  const adapter = adapterOf(run);
  const engine = new Engine({ device: config.device });
  try {
    const name = localName(config.policyLm, 'policyLm');
    const lm = await openModel(name, { engine, base: folder, signal });
    const result = await writeBy(lm, adapter, context);
    await lm.close();
    return { ...result, ledger: nothingAsked };
  } finally {
    await engine.close();
  }
}

/** The same, and the task LM's answer with that prompt about `context.input`. */
export async function answer({
  run,
  context,
  signal,
  openText,
}: WriteOptions): Promise<WrittenResult> {
  const adapter = adapterOf(run);
  const { input } = context;
  if (input === undefined) {
    throw new ConfigError('answer: there is nothing to answer about, give --input or "input" in the context'); // biome-ignore format: one sentence
  }
  const loaded = configOf(run);
  const bench = await openBench(loaded, { signal, openText });
  try {
    const written = await writeBy(await bench.policyLm!(), adapter, context);
    const { prompt } = written;
    const answered =
      bench instanceof TextBench
        ? { answer: await bench.answer({ ...context, prompt, input }) }
        : await answerOf(bench as Workbench, { prompt, input });
    return { ...written, ...answered, ledger: bench.ledger };
  } finally {
    await bench.close();
  }
}

function adapterOf({ id, method, result }: StoredRun): string {
  const adapter = result?.files?.find((file) => file.endsWith('adapter_model.safetensors'));
  if (method === 'grpo' && adapter !== undefined) return adapter;
  throw new ConfigError(
    `run ${id}: ${method} left no policy that writes prompts, give a run of the method grpo that is done`,
  );
}

async function writeBy(
  lm: LanguageModel,
  adapter: string,
  context: GivenContext,
): Promise<Omit<WrittenResult, 'ledger'>> {
  const { recipe, writer } = await openPolicy(adapter, lm);
  try {
    const own = ownParts(recipe.reads);
    if (own.length > 0 && own.every((part) => context[part] === undefined)) {
      throw new ConfigError(
        `context: the policy of this run reads the ${own.join(' and the ')}, the context has none`,
      );
    }
    const [written] = await writePrompts(writer, recipe, [context]);
    const { text, ids, logProbs } = written!;
    const missing: readonly ContextPart[] = own.filter((part) => context[part] === undefined);
    return {
      kind: 'result',
      prompt: text,
      promptTokens: ids,
      logProb: logProbs.reduce((a, b) => a + b, 0),
      reads: recipe.reads.filter((part) => !missing.includes(part)),
    };
  } finally {
    await writer.close();
  }
}

/** The likeliest label word, and what share of them all each has. */
async function answerOf(
  { task, taskLm, solutionContext: { reward } }: Workbench,
  { prompt, input }: { prompt: string; input: string },
) {
  const examples = [{ id: 'asked', input, label: 0 }];
  const environment = new Environment({ task, taskLm, examples, reward, precision: 'float32' });
  const [score] = await environment.evaluate([prompt]);
  await environment.close();
  const most = Math.max(...score!.scores);
  const weights = [...score!.scores].map((s) => Math.exp(s - most));
  const total = weights.reduce((a, b) => a + b, 0);
  return {
    answer: task.classes[score!.predicted[0]!]!.word,
    shares: Object.fromEntries(task.classes.map(({ word }, c) => [word, weights[c]! / total])),
  };
}
