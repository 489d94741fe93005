/** Words of the page: what each measure, state and kind of event is called and means. */
import type { RunState } from '../../src/server/contract.ts';

export interface Measure {
  /** In plain words. */
  readonly title: string;
  /** The term of art. */
  readonly term: string;
  /** One line. */
  readonly about: string;
  readonly format?: 'share' | 'usd';
}

export const measures: Readonly<Record<string, Measure>> = {
  reward: {
    title: 'How well it did',
    term: 'reward',
    about: 'Mean reward of the prompts tried in a step. Rising: the policy learns.',
  },
  bestReward: {
    title: 'Best so far',
    term: 'best reward',
    about: 'Reward of the best prompt up to this step.',
  },
  validation: {
    title: 'On examples it does not learn from',
    term: 'validation score',
    about: 'Share of validation examples answered right. Falls while reward rises: overfitting.',
    format: 'share',
  },
  entropy: {
    title: 'How undecided the policy is',
    term: 'entropy',
    about: 'Nats per token. High: still trying many wordings. Near 0: it writes the same prompt.',
  },
  kl: {
    title: 'How far the policy has moved',
    term: 'KL divergence',
    about: 'Distance of the policy from the model it started as.',
  },
  targetDrift: {
    title: 'Whether its estimates run away',
    term: 'value drift',
    about:
      'Squared gap of estimated values and their slow copy. Growing: a sign of the deadly triad.',
  },
  qAbsMax: {
    title: 'Largest estimate',
    term: 'max |Q|',
    about: 'Beyond what any reward can be worth, value learning diverges.',
  },
  promptsPerSecond: {
    title: 'Speed',
    term: 'prompts per second',
    about: 'Prompts scored a second, each on the whole batch of examples.',
  },
  spent: {
    title: 'How much is used up',
    term: 'share of the budget',
    about: 'Time, evaluations, tokens or money, whichever is nearest its limit.',
    format: 'share',
  },
  usd: { title: 'Money spent', term: 'US dollars', about: 'Paid to APIs so far.', format: 'usd' },
  evaluations: {
    title: 'Answers asked for',
    term: 'task-LM evaluations',
    about: 'Examples that the task LM has answered so far.',
  },
  loss: {
    title: 'What the update minimises',
    term: 'loss',
    about: 'It need not fall steadily: the data change with the policy.',
  },
  perplexity: {
    title: 'How unnatural the prompts read',
    term: 'perplexity',
    about: 'Of the step’s prompts under the policy LM. High: they read as fragments.',
  },
  gradientNorm: {
    title: 'Size of the update',
    term: 'gradient norm',
    about: 'Sudden peaks go before instability.',
  },
  duplicates: {
    title: 'Prompts written twice',
    term: 'share of duplicates',
    about: 'Share of a step’s prompts that repeat another.',
    format: 'share',
  },
};

/** Charts that stand open, in this order; what else a method measured stands below, closed. */
export const mainMeasures = [
  'reward',
  'validation',
  'entropy',
  'kl',
  'targetDrift',
  'qAbsMax',
  'promptsPerSecond',
  'spent',
  'usd',
];

export function measureOf(name: string): Measure {
  return (
    measures[name] ?? {
      title: sentence(name),
      term: name,
      about: 'Measured by the method; its page in docs/methods says how.',
    }
  );
}

const shorts: Readonly<Record<string, string>> = {
  lm: 'LM',
  usd: 'US dollars',
  kl: 'KL',
  url: 'address',
  api: 'API',
};

/** "maxExamples" as "Max examples", "taskLm" as "Task LM". */
export function sentence(name: string): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .split(/[-_\s]/)
    .map((word) => shorts[word.toLowerCase()] ?? word.toLowerCase());
  const text = words.join(' ');
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export const states: Readonly<
  Record<RunState, { readonly title: string; readonly about: string }>
> = {
  running: { title: 'Running', about: 'A process is searching now.' },
  paused: { title: 'Paused', about: 'Stopped by hand; it can go on.' },
  interrupted: { title: 'Interrupted', about: 'Ended before its time; it may go on.' },
  done: { title: 'Done', about: 'The search ended and the result was tested.' },
  failed: { title: 'Failed', about: 'It could not go on.' },
};

export const kinds: Readonly<Record<string, string>> = {
  start: 'Start',
  step: 'Step',
  validation: 'Validation',
  progress: 'Progress',
  warning: 'Warning',
  result: 'Result',
  error: 'Error',
};
