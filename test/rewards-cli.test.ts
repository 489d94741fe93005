/** Composed rewards as people use them: the command line as a process, a server on this machine. */
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../src/runs/config.ts';
import { configOf } from '../src/server/own-code.ts';
import { answerReward, composedRewardSchema, metricOf } from '../src/tasks/index.ts';
import { packageRoot } from '../src/util/package-root.ts';
import type { Asked, ProviderServer } from './support/provider-server.ts';
import { chatModel, startChatServer } from './support/sums.ts';
import { writeTinyTask } from './support/tiny-task.ts';
import { type Line, last, whetstoneIn } from './support/whetstone-process.ts';

let folder: string;
let server: ProviderServer;
let sent: number;
const asked = () => server.asked.slice(sent);
beforeAll(async () => {
  server = await startChatServer(answer);
});
afterAll(() => server.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-rewards-'));
  sent = server.asked.length;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** Doubles numbers; wrong for those that end in 3; in the format that is asked for where it is told to. */
function answer({ messages }: Asked) {
  const system = messages.find(({ role }) => role === 'system')?.content ?? '';
  const number = Number(messages.at(-1)!.content.trim());
  const value = number % 10 === 3 ? 0 : 2 * number;
  // Those that end in 7 forget the format.
  const isFormed = /formally/i.test(system) && number % 10 !== 7;
  const text = isFormed ? `Answer: ${value}` : `${value}`;
  return { text: /wordy/i.test(system) ? `${text}${' so'.repeat(20)}` : text, output: text.length };
}

const FORMAT = { metric: { name: 'regex', pattern: '^Answer: ' }, weight: 0.5 };

async function writeConfig(config: object, task: object = {}): Promise<void> {
  const rows = Array.from({ length: 40 }, (_, i) => `${i + 10},${2 * (i + 10)}`);
  await writeFile(join(folder, 'doubles.csv'), ['number,double', ...rows].join('\n'));
  const data = { train: 'train.csv', validation: 'validation.csv', test: 'test.csv' };
  const parts = [rows.slice(0, 20), rows.slice(20, 30), rows.slice(30)];
  for (const [i, name] of Object.values(data).entries()) {
    await writeFile(join(folder, name), ['number,double', ...parts[i]!].join('\n'));
  }
  const model = chatModel(server, 'doubler');
  const whole = {
    task: { kind: 'arithmetic', data, input: 'number', gold: 'double', ...task },
    taskLm: model,
    policyLm: model,
    method: { name: 'manual', prompts: ['Double it.', 'Double it formally.'] },
    budget: { evaluations: 100 },
    ...config,
  };
  await writeFile(join(folder, 'whetstone.yaml'), JSON.stringify(whole));
}

const whetstone = (...args: string[]) => whetstoneIn(folder, args);

describe('the example of docs/rewards.md', () => {
  it('has the numbers that its table says', async () => {
    const page = await readFile(join(packageRoot(), 'docs', 'rewards.md'), 'utf8');
    const [, yaml] = /```yaml\n(reward:[\s\S]*?)```/.exec(page)!;
    const options = composedRewardSchema.parse(parse(yaml!).reward);
    const metrics = await Promise.all(options.metrics!.map(({ metric }) => metricOf(metric)));
    const own = await metricOf('exact');
    const reward = answerReward({
      options,
      own,
      metrics,
      format: await metricOf(options.format!.metric),
    });
    const rows = [...page.matchAll(/^\| `(.*?)` +\| `(.*?)` +\| (.*) \|$/gm)];
    expect(rows.length).toBeGreaterThan(3);
    for (const [, output, gold, numbers] of rows) {
      const given = { golds: [gold!], input: '', score: 0, own: 0, prompt: '', tokens: 0 };
      const [found] = await reward.of([{ output: output!, ...given }]);
      const said = numbers!.split('|').map((cell) => Number(cell.replace('−', '-')));
      const { correctness, format: formed, lengthCost, reward: sum } = found!;
      const got = [correctness, formed, -lengthCost, sum];
      for (const [i, number] of said.entries()) expect(got[i]).toBeCloseTo(number, 3);
    }
  });
});

describe('a composed reward of answers in text', () => {
  it('is shown by evaluate with its parts, a wrong format apart from a wrong answer', async () => {
    const length = { of: 'answer', limit: 8, cost: 0.01, unit: 'characters' };
    await writeConfig({ reward: { format: FORMAT, length, clip: [-1, 1] } });
    const evaluated = await whetstone('evaluate', '--prompt', 'Double it formally.', '--split', 'test'); // biome-ignore format: one call
    expect(evaluated.code).toBe(0);
    // 40 to 49: 43 is answered wrong, 47 in no format; "Answer: 80" has 10 characters, "Answer: 0" 9.
    expect(last(evaluated)).toMatchObject({
      metric: 'numeric',
      score: 0.9,
      reward: {
        mean: expect.closeTo((8 * 1 + (0.5 - 0.01) + 1) / 10, 9),
        correctness: 0.9,
        format: expect.closeTo(0.45, 9),
        lengthCost: expect.closeTo((8 * 0.02 + 0.01) / 10, 9),
        outcomes: { right: 8, wrongAnswer: 1, wrongFormat: 1, bothWrong: 0 },
      },
    });
    const junit = join(folder, 'junit.xml');
    await whetstone('evaluate', '--prompt', 'Double it formally.', '--split', 'test', '--junit', junit); // biome-ignore format: one call
    const xml = await readFile(junit, 'utf8');
    expect(xml.match(/failure type="wrong-format"/g)).toHaveLength(1);
    expect(xml.match(/failure type="wrong-answer"/g)).toHaveLength(1);
    expect(xml).toContain('failures="2"');
  });

  it('decides what optimize finds, and stands in the record of the run', async () => {
    const prompts = ['Double it.', 'Double it formally.', 'Double it formally and be wordy.'];
    const reward = {
      metrics: [{ metric: 'numeric', weight: 3 }, { metric: 'contains' }],
      format: FORMAT,
      length: { of: 'answer', limit: 12, cost: 0.1, unit: 'characters' },
    };
    await writeConfig({ method: { name: 'manual', prompts }, reward });
    const { code, lines, err } = await whetstone('optimize');
    expect({ code, err }).toMatchObject({ code: 0 });
    const result = lines.at(-1)!;
    expect(result.prompt).toBe('Double it formally.');
    expect(result.test).toMatchObject({
      score: 0.9,
      reward: { correctness: 0.9, outcomes: { right: 8, wrongAnswer: 1, wrongFormat: 1 } },
    });
    const steps = lines.filter(({ kind }) => kind === 'step');
    expect(steps.length).toBeGreaterThan(0);
    for (const step of steps) {
      const { mean, correctness, format: formed, lengthCost = 0 } = step.parts as RewardParts;
      expect(mean).toBeCloseTo(correctness + formed - lengthCost, 9);
    }
    const shown = last(await whetstone('runs', 'show', 'last')) as Line & ShownRun;
    expect(shown.run.config.reward).toMatchObject(reward);
    expect(shown.run.result.test.reward).toEqual((result.test as { reward: object }).reward);
    const plain = { ...reward, format: { ...FORMAT, weight: 0 }, length: { ...reward.length, cost: 1 } }; // biome-ignore format: one value
    await writeConfig({ method: { name: 'manual', prompts }, reward: plain });
    // Nothing is gained by the format then, and the shorter answer is as good.
    expect(last(await whetstone('optimize')).prompt).not.toMatch(/wordy/);
  });

  it('is what compare goes by, and reflect is rewarded by', async () => {
    const prompts = ['Double it.', 'Double it formally.'];
    await writeConfig({
      reward: { format: FORMAT },
      methods: { manual: { prompts }, reflect: { prompts } },
    });
    const { code, lines, err } = await whetstone('compare', '--methods', 'manual,reflect', '--seeds', '1'); // biome-ignore format: one call
    expect({ code, err }).toMatchObject({ code: 0 });
    const steps = lines.filter(({ kind }) => kind === 'step');
    expect(new Set(steps.map(({ method }) => method))).toEqual(new Set(['manual', 'reflect']));
    const composed = steps.filter(({ parts }) => parts !== undefined);
    expect(new Set(composed.map(({ method }) => method)).size).toBe(2);
    const shown = last(await whetstone('runs', 'show', 'last')) as Line & ShownRun;
    expect(shown.run.result.prompt).toBe('Double it formally.');
    expect(shown.run.result.test.reward).toMatchObject({ correctness: 0.9 });
  });

  it('is null where a part cannot be judged, never zero, and ten in a row stop the run', async () => {
    await writeFile(
      join(folder, 'own.mjs'),
      `export default (output, gold) => {
        if (gold === '84' || process.env.ALL) throw new Error('no judgement of ' + gold);
        return 1;
      };`,
    );
    await writeConfig({ reward: { metrics: [{ metric: { name: 'function', path: 'own.mjs' } }] } });
    const one = last(await whetstone('evaluate', '--prompt', 'Double it.', '--split', 'test'));
    expect(one).toMatchObject({ examples: 9, failed: 1, reward: { mean: 1 } });
    const said = await whetstone('evaluate', '--prompt', 'Double it.', '--split', 'test');
    const warning = said.lines.find(({ kind }) => kind === 'warning');
    expect(warning!.message).toMatch(/has no score.*, since own\.mjs threw: no judgement of 84$/);
    const { code, lines, err } = await whetstoneIn(folder, ['optimize'], { env: { ALL: '1' } });
    expect(code).toBe(2);
    expect(err).toMatch(
      /metric function: 10 examples in a row could not be judged.*no judgement of/,
    );
    expect(lines.at(-1)).toMatchObject({ kind: 'error' });
  });

  it('tries a function on gold answers before anything is asked', async () => {
    await writeFile(join(folder, 'own.mjs'), "export default () => { throw new Error('never'); };");
    await writeConfig({}, { metric: { name: 'function', path: 'own.mjs' } });
    const { code, err } = await whetstone('optimize');
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('threw: never') });
    expect(server.asked.length).toBe(sent);
  });

  it.each([
    ['settles never', 'new Promise(() => {})', /a promise that nothing will settle/],
    [
      'throws later',
      "(setTimeout(() => { throw new Error('too late'); }), new Promise((r) => setTimeout(r, 500, 1)))",
      /threw outside of what the run waits for: too late/,
    ],
    [
      'rejects aside',
      "(Promise.reject(new Error('astray')), new Promise((r) => setTimeout(r, 500, 1)))",
      /threw outside of what the run waits for: astray/,
    ],
  ])('says what is amiss with a function that %s', async (_, body, message) => {
    await writeFile(join(folder, 'own.mjs'), `export default () => ${body};`);
    await writeConfig({}, { metric: { name: 'function', path: 'own.mjs' } });
    const { code, lines, err } = await whetstone('optimize');
    expect({ code, err }).toMatchObject({ code: 1, err: expect.stringMatching(message) });
    expect(err.trim().split('\n')).toHaveLength(1);
    expect(lines.at(-1)).toMatchObject({ kind: 'error' });
  });

  it('is planned under the limits that the run has', async () => {
    await writeConfig({ budget: { evaluations: 5 } });
    const { code, err } = await whetstone('optimize', '--dry-run');
    expect({ code, err }).toMatchObject({ code: 2, err: expect.stringContaining('too few') });
  });

  it('takes the price of fluency beside it, told by a local policy LM', async () => {
    const { model } = await writeTinyTask(join(folder, 'tiny'));
    await writeConfig({ policyLm: model, fluency: { weight: 0.01 }, reward: { format: FORMAT } });
    const { code, lines, err } = await whetstone('optimize');
    expect({ code, err }).toMatchObject({ code: 0 });
    const { fluency, validation, train } = lines.at(-1) as unknown as Priced;
    expect(fluency.penalty).toBeCloseTo(0.01 * Math.log(fluency.perplexity), 9);
    const task = (20 * train.reward.mean + 10 * validation.reward.mean) / 30;
    expect(fluency.taskReward).toBeCloseTo(task, 9);
  });
});

describe('a composed reward of label words', () => {
  it("takes the prompt's length off the label words' reward", async () => {
    const tiny = await writeTinyTask(folder);
    const priced = ['--set', 'reward={labels: gap, length: {of: prompt, limit: 1, cost: 0.25}}'];
    const look = async (...set: string[]) => {
      const ended = await whetstone('evaluate', tiny.path, '--prompt', 'so very nice', ...set);
      expect({ code: ended.code, err: ended.err }).toMatchObject({ code: 0 });
      return last(ended) as unknown as { score: number; reward: RewardParts };
    };
    const { score, reward } = await look(...priced);
    // Three words are three tokens, one is free.
    expect(reward.lengthCost).toBe(0.5);
    expect(reward.mean).toBeCloseTo(reward.correctness - 0.5, 9);
    const clip = 'reward.clip=[-0.1, 0.1]';
    const bounded = await look(...priced, '--set', clip);
    expect(bounded).toMatchObject({ score, reward: { correctness: reward.correctness } });
    expect(Math.abs(bounded.reward.mean)).toBeLessThanOrEqual(0.1);
    const { code, lines } = await whetstone('optimize', tiny.path, ...priced, '--set', 'method.name=random', '--set', 'budget.evaluations=200'); // biome-ignore format: one call
    expect(code).toBe(0);
    expect(lines.at(-1)).toMatchObject({ test: { reward: { correctness: expect.any(Number) } } });
  });
});

interface RewardParts {
  readonly mean: number;
  readonly correctness: number;
  readonly format: number;
  readonly lengthCost?: number;
}

interface ShownRun {
  readonly run: {
    readonly config: { readonly reward: object };
    readonly result: { readonly prompt: string; readonly test: { readonly reward: object } };
  };
}

interface Priced {
  readonly fluency: { readonly penalty: number; readonly perplexity: number; readonly taskReward: number }; // biome-ignore format: one value
  readonly train: { readonly reward: RewardParts };
  readonly validation: { readonly reward: RewardParts };
}

const metrics = (...given: object[]) => ({ reward: { metrics: given } });

describe('bad input', () => {
  it.each<[string, object, RegExp]>([
    [
      'an unknown metric lists the known ones',
      metrics({ metric: 'xyzzy' }),
      /reward\.metrics\.0\.metric: there is no metric xyzzy \(known: exact, normalised, token-f1/,
    ],
    [
      'a metric written almost right',
      metrics({ metric: 'numerik' }),
      /reward\.metrics\.0\.metric: there is no metric numerik \(did you mean numeric\?\)/,
    ],
    [
      'a weight that is not positive',
      metrics({ metric: 'exact', weight: 0 }),
      /reward\.metrics\.0\.weight: expected more than 0, got 0/,
    ],
    ['no metric at all', metrics(), /reward\.metrics: expected at least 1 entries, got a list/],
    ['a name beside its place', metrics({ name: 'exact' }), /reward\.metrics\.0/],
    [
      'a reward that is not there',
      { reward: 'nice' },
      /reward: expected piecewise or gap or log-prob or accuracy or a group of keys, got "nice"/,
    ],
    [
      'an unknown key',
      { reward: { lenght: {} } },
      /reward\.lenght: unknown key \(did you mean length\?\)/,
    ],
    [
      'bounds in the wrong order',
      { reward: { clip: [1, 0] } },
      /reward\.clip: expected the lower bound first/,
    ],
    [
      'a length of nothing',
      { reward: { length: { cost: 1 } } },
      /reward\.length\.of: expected prompt or answer, got nothing/,
    ],
  ])('%s is said with its place', (_, config, message) => {
    const text = JSON.stringify({ task: { data: 'x.csv' }, ...config });
    expect(() => parseConfig(text)).toThrow(message);
  });

  it.each<[string, object, RegExp]>([
    [
      'a metric that does not fit the golds',
      metrics({ metric: 'json' }),
      /train\.csv: row 2: metric json needs a JSON object in every gold answer/,
    ],
    [
      'a pattern that cannot be read',
      { reward: { format: { metric: { name: 'regex', pattern: '(' } } } },
      /metric regex: /,
    ],
    [
      "label words' scores of a task in text",
      { reward: { labels: 'gap' } },
      /reward\.labels: the task LM openai-compatible:doubler is asked in text/,
    ],
    [
      'tokens of a prompt that only the API knows',
      { reward: { length: { of: 'prompt', cost: 0.1 } } },
      /reward\.length\.unit: the task LM .* is behind an API.*characters/,
    ],
    [
      'fluency that nobody tells',
      { fluency: { weight: 1 } },
      /fluency: the policy LM openai-compatible:doubler is behind an API/,
    ],
  ])('%s is refused before anything is asked', async (_, config, message) => {
    await writeConfig(config);
    for (const extra of [[], ['--dry-run']]) {
      const { code, err } = await whetstone('optimize', ...extra);
      expect(err).toMatch(message);
      expect(err.trim().split('\n')).toHaveLength(1);
      expect(code).toBe(2);
    }
    expect(asked()).toHaveLength(0);
  });

  it.each([
    ['metrics', '{metrics: [{metric: exact}]}', /reward\.metrics: the task LM .* prefers one of/],
    ['a format', '{format: {metric: exact}}', /reward\.format: the task LM .* prefers one of/],
    [
      'a length of answers',
      '{length: {of: answer, cost: 1}}',
      /reward\.length\.of: expected prompt/,
    ],
  ])('%s are refused where label words are preferred', async (_, reward, message) => {
    const tiny = await writeTinyTask(folder);
    const { code, err } = await whetstone('optimize', tiny.path, '--set', `reward=${reward}`);
    expect(code).toBe(2);
    expect(err).toMatch(message);
    expect(err.trim().split('\n')).toHaveLength(1);
  });

  it('the studio runs no module of a reward either', () => {
    const own = { metric: { name: 'function', path: 'x.mjs' } };
    const yaml = (reward: object) => JSON.stringify({ task: { data: 'x.csv' }, reward });
    const studio = { folder, redact: (text: string) => text };
    for (const reward of [{ metrics: [{ metric: 'exact' }, own] }, { format: own }]) {
      expect(() => configOf(studio, yaml(reward))).toThrow(
        /reward\..*metric: the metric "function" runs/,
      );
    }
  });
});
