/**
 * Whether a regular expression matches somewhere in the output: the configuration's `pattern`, which
 * makes it a check of the format, or else each gold answer as a pattern.
 *
 * Nobody can stop the JavaScript engine's own backtracking, so patterns run in the tokenizers'
 * matcher, which counts its steps: the same limit on every machine. What takes more steps is null.
 * It has no back-references, look-behind, named groups or inline flags; ^ and $ are the ends of the
 * output, \d, \w and \b know every script, a dot is anything but a line end, and a group repeats
 * at most 1,500 times.
 */
import { z } from 'zod';
import { ConfigError, WeightsError } from '../../errors.ts';
import { compileTest } from '../../models/tokenizer/pattern.ts';
import { type Answer, eachAnswer, metric, refuseGolds } from './metric.ts';
import { watchFailures } from './streak.ts';

/** Some tenths of a second. A pattern like `.*x` takes n² steps on n characters without an x. */
const FREE_STEPS = 10_000_000;
const MOST_PATTERNS = 4096;

type Test = (text: string) => boolean;

export const regex = metric({
  name: 'regex',
  summary: 'A regular expression matches in the output: one for all, or each gold answer as one.',
  options: {
    pattern: z
      .string()
      .min(1)
      .optional()
      .describe('For all examples; each gold answer is a pattern when left out'),
    ignoreCase: z.boolean().default(false).describe('Whether A and a are the same'),
  },
  open({ pattern, ignoreCase }) {
    const fixed = pattern === undefined ? undefined : compile(pattern, ignoreCase);
    const tests = cachedTests(ignoreCase);
    const watch = watchFailures('regex');
    const judge = (answer: Answer) => {
      const { output, golds } = answer;
      try {
        const all = fixed ? [fixed] : golds.map(tests);
        return watch.tell(answer, all.some((test) => test(output)) ? 1 : 0);
      } catch (error) {
        if (!(error instanceof WeightsError)) throw error;
        return watch.tell(answer, null, reworded(error));
      }
    };
    const lastFailure = watch.lastReason;
    if (fixed) return eachAnswer('regex', judge, { lastFailure });
    return eachAnswer('regex', judge, {
      lastFailure,
      check: (golds, place) =>
        refuseGolds(golds, place, {
          name: 'regex',
          isFit: (gold) => gold !== '' && isPattern(gold, ignoreCase),
          wants: 'gold answers that are regular expressions of the kind in docs/metrics.md',
          mend: 'correct it or give metric.pattern',
        }),
    });
  },
});

/** @throws ConfigError when it cannot be read */
function compile(pattern: string, ignoreCase: boolean): Test {
  try {
    return compileTest(ignoreCase ? `(?i:${pattern})` : pattern, {
      freeSteps: FREE_STEPS,
      anchors: 'text',
    });
  } catch (error) {
    if (error instanceof WeightsError) throw new ConfigError(`metric regex: ${reworded(error)}`);
    throw error;
  }
}

/** Tests of gold answers, a bounded number of which is kept. */
function cachedTests(ignoreCase: boolean): (gold: string) => Test {
  const known = new Map<string, Test>();
  return (gold) => {
    const test = known.get(gold) ?? compile(gold, ignoreCase);
    if (known.size >= MOST_PATTERNS) known.clear();
    known.set(gold, test);
    return test;
  };
}

function isPattern(gold: string, ignoreCase: boolean): boolean {
  try {
    compile(gold, ignoreCase);
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

/** The matcher speaks of tokenizers, which is what it was made for. */
function reworded(error: WeightsError): string {
  return error.message.replace(/^tokenizer: /, '');
}
