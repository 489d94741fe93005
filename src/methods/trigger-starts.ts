/** Where a search for triggers begins, and where it begins again. */
import { ConfigError } from '../errors.ts';
import type { AnyTask } from '../tasks/index.ts';
import type { Rng } from '../util/rng.ts';
import { humanCandidates } from './human-prompts.ts';
import type { MethodContext } from './method.ts';
import { labelWordTest, type Trigger, type TriggerTokens } from './trigger-candidates.ts';

export interface StartOptions {
  /** "random", "human" or a text. */
  readonly start: string;
  readonly promptTokens: number;
  /** Random triggers drawn at once. */
  readonly searchWidth: number;
  readonly banLabelWords: boolean;
}

export interface TriggerStarts {
  /** Gives, call after call, the triggers among whose best on a step's examples the search begins. */
  next(batch: { blocks?: readonly number[] }): Promise<Trigger[]>;
  /** Texts that were not begun with yet, once they are known. */
  readonly left: readonly string[] | undefined;
}

/** `left` is that of an earlier process. */
export function triggerStarts(
  context: MethodContext,
  tokens: TriggerTokens,
  o: StartOptions & { readonly left: readonly string[] | undefined },
): TriggerStarts {
  const draw = (length: number, count: number) =>
    randomTriggers(tokens, { length, count, rng: context.rng });
  const random = () => {
    const drawn = draw(o.promptTokens, o.searchWidth);
    if (drawn.length > 0) return drawn;
    throw new ConfigError(
      `autoprompt: no ${o.promptTokens} random words of ${context.taskLm.name} are read back as the same tokens, give method.start a text`,
    );
  };
  if (o.start === 'random') return { next: async () => random(), left: undefined };
  /** Random words in front of a text that is shorter than `promptTokens`. */
  const filled = (text: string): Trigger | undefined => {
    const { layout } = context.environment;
    const missing = o.promptTokens - layout.prompt(text).length;
    const whole = missing > 0 ? `${draw(missing, 1)[0]?.text ?? ''} ${text}`.trim() : text;
    return tokens.read(layout.prompt(whole));
  };
  if (o.start === 'human') {
    let left = o.left;
    return {
      get left() {
        return left;
      },
      async next(batch) {
        const [text, ...others] = left ?? (await scoredHumans(context, o, batch));
        left = others;
        const trigger = text === undefined ? undefined : filled(text);
        return trigger ? [trigger] : random();
      },
    };
  }
  const next = async () => {
    const trigger = filled(o.start);
    if (trigger) return [trigger];
    throw new ConfigError(
      `method.start: "${o.start}" is not read back as it is written by ${context.taskLm.name}, expected random, human or a plain text`,
    );
  };
  return { next, left: undefined };
}

/** The human prompts that a search may begin with. */
export function humanStarts(
  task: AnyTask,
  { banLabelWords }: Pick<StartOptions, 'banLabelWords'>,
): string[] {
  const isChecked = banLabelWords && task.kind === 'classification';
  const isBanned = isChecked ? labelWordTest(task) : () => false;
  return humanCandidates(task).filter((text) => !isBanned(text));
}

/** Those, best first. */
async function scoredHumans(
  context: MethodContext,
  o: StartOptions,
  batch: { blocks?: readonly number[] },
) {
  const { environment, pool, task } = context;
  const texts = humanStarts(task, o);
  const prompts = texts.map((text) => ({ text }));
  const scores = await environment.step(prompts, batch);
  texts.forEach((text, i) => {
    pool.add({ text }, scores[i]!);
  });
  const order = [...texts.keys()].sort((a, b) => scores[b]!.reward - scores[a]!.reward);
  return order.map((i) => texts[i]!);
}

/** `count` triggers of random tokens, fewer where few are read back as they are. */
function randomTriggers(
  tokens: TriggerTokens,
  { length, count, rng }: { length: number; count: number; rng: Rng },
): Trigger[] {
  const out: Trigger[] = [];
  for (let draw = 0; out.length < count && draw < 20 * count; draw++) {
    const trigger = tokens.read(
      Array.from({ length }, (_, slot) => {
        const from = tokens.at(slot);
        return from[rng.integer(from.length)]!;
      }),
    );
    if (trigger) out.push(trigger);
  }
  return out;
}
