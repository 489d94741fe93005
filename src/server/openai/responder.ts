/**
 * What answers: the task LM of a run with the prompt that the run found in front of it, or with the
 * prompt that its policy writes for the very conversation. Models are opened once; several questions
 * are answered in one pass. Where the task has label words, the answer is one of them.
 *
 * A client's own system messages are left out: what was measured is the found prompt in their place.
 */
import { ConfigError, DataError, WhetstoneError } from '../../errors.ts';
import {
  type Method,
  type MethodName,
  methods,
  openPolicy,
  type TensorSolution,
  writePrompts,
} from '../../methods/index.ts';
import { ownParts } from '../../policy/index.ts';
import { isFailure, type Message, type TextModel } from '../../providers/index.ts';
import type { OnEvent } from '../../runs/events.ts';
import { openBench } from '../../runs/open-bench.ts';
import { configOf } from '../../runs/run-config.ts';
import type { StoredRun } from '../../runs/store.ts';
import { TextBench } from '../../runs/text-bench.ts';
import { Workbench } from '../../runs/workbench.ts';
import { labelIn, parseMessageTemplate, renderMessages } from '../../tasks/index.ts';

type OpenPolicy = Awaited<ReturnType<typeof openPolicy>>;

/** One question. */
export interface Ask {
  /** What is answered. */
  readonly input: string;
  readonly question?: string | undefined;
  /** What was said before. */
  readonly conversation: readonly Message[];
  readonly maxTokens?: number | undefined;
  readonly temperature?: number | undefined;
  readonly stop?: readonly string[] | undefined;
  readonly seed?: number | undefined;
  readonly topP?: number | undefined;
  /** Told a text's pieces while it is written; an answer of few words comes in one piece. */
  readonly onText?: ((piece: string) => void) | undefined;
  /** Aborted when nobody waits for this answer any more. */
  readonly signal?: AbortSignal | undefined;
}

export interface Answered {
  readonly text: string;
  readonly finish: 'stop' | 'length' | 'content_filter';
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** ln of each label word's share, the likeliest first. */
  readonly words?: readonly { readonly word: string; readonly logProb: number }[];
  /** What a policy wrote for this one. */
  readonly prompt?: string;
}

export interface Refused {
  readonly error: WhetstoneError;
}

export interface Responder {
  readonly taskLm: string;
  /** True where the answer is one of few words, whose probabilities are known. */
  readonly hasWords: boolean;
  /** Questions that are answered in one pass, and passes at a time. */
  readonly batch: number;
  readonly concurrency: number;
  answer(asks: readonly Ask[], signal?: AbortSignal): Promise<readonly (Answered | Refused)[]>;
  close(): Promise<void>;
}

export interface ResponderOptions {
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Most US dollars for paid services. @default the run's own budget */
  readonly usd?: number | undefined;
}

const LOCAL_BATCH = 16;
const REMOTE_CONCURRENCY = 16;

/** @throws ConfigError when the run has found nothing, or its models are not there any more */
export async function openResponder(run: StoredRun, options: ResponderOptions): Promise<Responder> {
  const { onEvent, signal, usd } = options;
  if (!run.result) {
    throw new ConfigError(`run ${run.id}: it is ${run.state} and has found nothing yet, give a run that is done`); // biome-ignore format: one sentence
  }
  const { config, ...loaded } = configOf(run);
  // Tokens were capped for the search; a server would end in the middle of a day by it.
  const budget = { ...config.budget, tokens: undefined, ...(usd === undefined ? {} : { usd }) };
  const bench = await openBench(
    { ...loaded, config: { ...config, budget } },
    {
      onProgress: (progress) => onEvent?.({ kind: 'progress', ...progress }),
      onWarning: (message) => onEvent?.({ kind: 'warning', message }),
      signal,
    },
  );
  try {
    const { key, name } = bench.taskLm;
    if (run.hashes.taskLm !== undefined && run.hashes.taskLm !== key) {
      throw new DataError(`${name}: is not the task LM that run ${run.id} used (${run.hashes.taskLm}, now ${key}); put that model back or run again`); // biome-ignore format: one sentence
    }
    const parts = await partsOf(bench, run as FoundRun);
    return { taskLm: name, ...parts, close: parts.close ?? (() => bench.close()) };
  } catch (error) {
    await bench.close();
    throw error;
  }
}

type FoundRun = StoredRun & { readonly result: NonNullable<StoredRun['result']> };
type Parts = Pick<Responder, 'hasWords' | 'batch' | 'concurrency' | 'answer'> & {
  close?: () => Promise<void>;
};

async function partsOf(bench: unknown, run: FoundRun): Promise<Parts> {
  if (bench instanceof TextBench) return textParts(bench, run);
  if (bench instanceof Workbench) return labelParts(bench, run);
  throw new WhetstoneError('internal: a bench of no known kind');
}

/** Label words by the logits of an open task LM. */
async function labelParts(bench: Workbench, run: FoundRun): Promise<Parts> {
  const found = await foundBy(bench, run);
  const { task, taskLm } = bench;
  const countWord = (word: string) => taskLm.tokenizer.encode(` ${word.trim()}`).length;

  async function scoresOf(asks: readonly Ask[]): Promise<readonly Scored[]> {
    const examples = asks.map(({ input }, i) => ({ id: `asked ${i}`, input, label: 0 }));
    if (found.kind === 'tensor') {
      const { scores } = await found.solution.evaluate(examples);
      return rowsOf(scores, asks.length).map((scores) => ({ scores, prompt: '' }));
    }
    const prompts =
      found.kind === 'text' ? asks.map(() => found.text) : await writtenFor(found.policy, asks);
    const out = new Array<Scored>(asks.length);
    for (const prompt of new Set(prompts)) {
      const rows = prompts.flatMap((other, i) => (other === prompt ? [i] : []));
      const template = found.kind === 'text' ? found.template : undefined;
      const some = rows.map((i) => examples[i]!);
      const environment = bench.environment(some, 'float32', { once: true, template });
      try {
        const [score] = await environment.evaluate([prompt]);
        rowsOf(score!.scores, rows.length).forEach((scores, i) => {
          out[rows[i]!] = { scores, prompt };
        });
      } finally {
        await environment.close();
      }
    }
    return out;
  }

  return {
    hasWords: true,
    batch: LOCAL_BATCH,
    concurrency: 1,
    answer: (asks) =>
      eachOrAll(asks, async (some) =>
        (await scoresOf(some)).map(({ scores, prompt }, i): Answered => {
          const words = wordsOf(
            task.classes.map(({ word }) => word),
            scores,
          );
          const text = words[0]!.word;
          const layout = bench.layout(found.kind === 'text' ? found.template : undefined);
          return {
            text,
            finish: 'stop',
            inputTokens: layout.whole(some[i]!.input, prompt).length,
            outputTokens: countWord(text),
            words,
            ...(found.kind === 'policy' ? { prompt } : {}),
          };
        }),
      ),
    async close() {
      if (found.kind === 'tensor') await found.solution.close();
      if (found.kind === 'policy') await found.policy.writer.close();
      await bench.close();
    },
  };
}

interface Scored {
  readonly scores: Float32Array;
  readonly prompt: string;
}

type FoundHere =
  | { readonly kind: 'text'; readonly text: string; readonly template: string | undefined }
  | { readonly kind: 'policy'; readonly policy: OpenPolicy }
  | { readonly kind: 'tensor'; readonly solution: TensorSolution };

async function foundBy(
  bench: Workbench,
  { id, method: name, result }: FoundRun,
): Promise<FoundHere> {
  const { kindOfResult, prompt: text, template, files } = result;
  if (kindOfResult === 'text') return { kind: 'text', text, template };
  const method: Method | undefined = methods[name as MethodName];
  const path = files?.find((file) => file.endsWith('.safetensors'));
  if (path === undefined || !method?.open) {
    throw new ConfigError(`run ${id}: ${name} left no file that can be opened`);
  }
  if (kindOfResult !== 'policy') {
    return { kind: 'tensor', solution: await method.open(path, bench.solutionContext) };
  }
  return { kind: 'policy', policy: await openPolicy(path, await bench.policyLm()) };
}

/** The policy reads what was said before; of a first message, that itself. */
async function writtenFor({ writer, recipe }: OpenPolicy, asks: readonly Ask[]): Promise<string[]> {
  const own = ownParts(recipe.reads);
  const contexts = asks.map(({ conversation, question, input }) => {
    const said: readonly Message[] =
      conversation.length > 0 ? conversation : [{ role: 'user', content: input }];
    return {
      ...(own.includes('conversation') ? { conversation: said } : {}),
      ...(own.includes('question') ? { question: question ?? input } : {}),
    };
  });
  return (await writePrompts(writer, recipe, contexts)).map(({ text }) => text);
}

/** A model that answers in text. */
function textParts(bench: TextBench, { result }: FoundRun): Parts {
  const { task } = bench;
  const taskLm: TextModel = bench.taskLm;
  const template =
    result.template === undefined ? task.template : parseMessageTemplate(result.template);
  const isLocal = taskLm.key.startsWith('local/');
  let sample = 0;
  return {
    hasWords: false,
    batch: isLocal ? LOCAL_BATCH : 1,
    concurrency: isLocal ? 1 : REMOTE_CONCURRENCY,
    async answer(asks, signal) {
      const requests = asks.map((ask) => {
        const { temperature = 0, topP, stop = task.stop } = ask;
        return {
          messages: renderMessages(template, { ...ask, prompt: result.prompt }),
          maxTokens: Math.min(ask.maxTokens ?? task.maxAnswerTokens, task.maxAnswerTokens),
          temperature,
          topP,
          ...(stop ? { stop } : {}),
          // Each drawn answer is another one, unless its seed says which.
          ...(temperature > 0
            ? { seed: ask.seed ?? 0, sample: ask.seed === undefined ? ++sample : 0 }
            : {}),
        };
      });
      // An answer that may become a label word is known at its end.
      const isStreamed = !task.labelWords && asks.some(({ onText }) => onText);
      const completions = await taskLm.complete(requests, {
        signal,
        ...(isStreamed ? { onText: (at, piece) => asks[at]!.onText?.(piece) } : {}),
        isWanted: (at) => asks[at]!.signal?.aborted !== true,
      });
      return completions.map((completion): Answered | Refused => {
        if (isFailure(completion)) return completion;
        const { text, finish, inputTokens, outputTokens } = completion;
        const word = task.labelWords && labelIn(text, task.labelWords);
        return {
          text: word ?? text,
          finish: finish === 'refusal' ? 'content_filter' : finish === 'length' ? 'length' : 'stop',
          inputTokens,
          outputTokens,
        };
      });
    },
  };
}

/** All in one pass; where that fails, each by itself, so that one bad question spoils no other. */
async function eachOrAll(
  asks: readonly Ask[],
  answer: (asks: readonly Ask[]) => Promise<readonly Answered[]>,
): Promise<readonly (Answered | Refused)[]> {
  try {
    return await answer(asks);
  } catch (error) {
    if (!(error instanceof WhetstoneError)) throw error;
    if (asks.length === 1) return [{ error }];
    const out: (Answered | Refused)[] = [];
    for (const ask of asks) out.push(...(await eachOrAll([ask], answer)));
    return out;
  }
}

function rowsOf(scores: Float32Array, rows: number): Float32Array[] {
  const C = scores.length / rows;
  return Array.from({ length: rows }, (_, i) => scores.slice(i * C, (i + 1) * C));
}

/** Label words with ln of their share among them, the likeliest first. */
function wordsOf(words: readonly string[], scores: Float32Array) {
  const most = Math.max(...scores);
  const total = Math.log(scores.reduce((sum, s) => sum + Math.exp(s - most), 0)) + most;
  return words
    .map((word, c) => ({ word, logProb: scores[c]! - total }))
    .sort((a, b) => b.logProb - a.logProb);
}
