import { mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ConfigError } from '../errors.ts';
import { configJsonSchema, loadConfig, parseConfig } from './config.ts';

const MINIMAL = `task:
  data: reviews.csv
  input: text
  gold: label
  labels: { "0": bad, "1": good }
`;

describe('parseConfig', () => {
  it('fills in every default', () => {
    expect(parseConfig(MINIMAL)).toMatchObject({
      taskLm: 'local:smollm2-135m-instruct',
      method: { name: 'policy-gradient' },
      budget: { minutes: 10, usd: 0 },
      precision: { search: 'int8' },
      device: 'cpu',
      seed: 1,
    });
  });

  it('takes options of the default method without its name', () => {
    const { method } = parseConfig(`${MINIMAL}method: { batchSize: 8 }\n`);
    expect(method).toEqual({ name: 'policy-gradient', batchSize: 8 });
  });

  it.each([
    [`${MINIMAL}devise: cpu\n`, 'whetstone.yaml:6:1: devise: unknown key (did you mean device?)'],
    [
      `${MINIMAL}budget: {minuts: 2}\n`,
      'whetstone.yaml:6:10: budget.minuts: unknown key (did you mean minutes?)',
    ],
    [`${MINIMAL}seed: often\n`, 'whetstone.yaml:6:1: seed: expected number, got "often"'],
    [
      `${MINIMAL}device: gpu\n`,
      'whetstone.yaml:6:1: device: expected cpu or webgpu or cuda, got "gpu"',
    ],
    [
      `${MINIMAL}budget:\n  minutes: 0\n`,
      'whetstone.yaml:7:3: budget.minutes: expected more than 0, got 0',
    ],
    [
      `${MINIMAL}budget: { minutes: .inf }\n`,
      'whetstone.yaml:6:11: budget.minutes: expected number, got Infinity',
    ],
    [
      'task: { data: 5 }\n',
      'whetstone.yaml:1:9: task.data: expected string or a group of keys, got 5',
    ],
    ['task: 3\n', 'whetstone.yaml:1:1: task: expected a group of keys, got 3'],
    [
      'task: { kind: arithmetic, data: a.jsonl, metric: { name: function, file: mine.ts } }\n',
      'whetstone.yaml:1:42: task.metric: metric function: path: expected string, got nothing',
    ],
    ['', 'whetstone.yaml: task: expected a group of keys, got nothing'],
    ['- a\n', 'whetstone.yaml: expected keys like "task:", got a list'],
  ])('%j', (text, message) => {
    expect(() => parseConfig(text)).toThrow(new ConfigError(message));
  });

  it('says where the YAML breaks', () => {
    expect(() => parseConfig('task:\n  data: [a\nseed: 1\n')).toThrow(/^whetstone.yaml:\d+:\d+: /);
  });

  it('refuses aliases that grow', () => {
    let text = 'a: &a [x, x, x, x, x, x, x, x, x]\n';
    for (const [to, from] of ['ba', 'cb', 'dc', 'ed', 'fe']) {
      text += `${to}: &${to} [${Array(9).fill(`*${from}`).join(', ')}]\n`;
    }
    expect(() => parseConfig(text)).toThrow(
      /aliases .* stand for more than 50 values, write them out/,
    );
  });

  it('refuses endless nesting', () => {
    expect(() => parseConfig('['.repeat(100_000))).toThrow(ConfigError);
    expect(() => parseConfig('- '.repeat(100_000))).toThrow(ConfigError);
  });

  it('throws nothing but ConfigError, whatever the text', () => {
    const edit = fc.tuple(fc.nat(MINIMAL.length), fc.nat(6), fc.string({ maxLength: 6 }));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), (edits) => {
        let text = MINIMAL;
        for (const [at, cut, put] of edits) text = text.slice(0, at) + put + text.slice(at + cut);
        try {
          parseConfig(text);
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error;
        }
      }),
      { numRuns: 10_000, seed: 1 },
    );
  });
});

describe('--set', () => {
  it('overrides by dotted path, with YAML scalars', () => {
    const set = ['method.name=random', 'budget.minutes=0.5', 'task.template={prompt} {input}'];
    const config = parseConfig(MINIMAL, {
      set: [...set.slice(0, 2), `${set[2]!.replace('=', '="')}"`],
    });
    expect(config.method.name).toBe('random');
    expect(config.budget.minutes).toBe(0.5);
    expect(config.task.template).toBe('{prompt} {input}');
  });
  it.each(['{input} {prompt}', '{input}\n{prompt}', '{prompt}'])(
    'takes %j as a text',
    (template) => {
      const config = parseConfig(MINIMAL, { set: [`task.template=${template}`] });
      expect(config.task.template).toBe(template);
    },
  );
  it('keeps the method its options', () => {
    expect(
      parseConfig(MINIMAL, { set: ['method.name=x', 'method.promptTokens=7'] }).method,
    ).toEqual({
      name: 'x',
      promptTokens: 7,
    });
  });
  it.each([
    ['minutes', '--set minutes: expected key=value, as in budget.minutes=2'],
    ['budjet.minutes=1', '--set budjet.minutes: budjet: unknown key (did you mean budget?)'],
    ['budget.minutes=soon', '--set budget.minutes: budget.minutes: expected number, got "soon"'],
    ['__proto__.x=1', '--set __proto__.x=1: expected key=value, as in budget.minutes=2'],
  ])('refuses %s', (set, message) => {
    expect(() => parseConfig(MINIMAL, { set: [set] })).toThrow(new ConfigError(message));
  });
});

describe('loadConfig', () => {
  it('names a file that is not there, and one that is too large', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'whetstone-config-'));
    const path = join(folder, 'w.yaml');
    await expect(loadConfig(path)).rejects.toThrow(/no such file.*whetstone init/);
    await writeFile(path, `# ${'x'.repeat(2 ** 20)}`);
    await expect(loadConfig(path)).rejects.toThrow(/at most 1 MB/);
    await writeFile(path, MINIMAL);
    expect(await loadConfig(path)).toMatchObject({ folder, path });
  });
});

it('exports a JSON Schema with descriptions and without required defaults', () => {
  const schema = configJsonSchema() as { required: string[]; properties: { seed: object } };
  expect(schema.required).toEqual(['task']);
  expect(schema.properties.seed).toMatchObject({ description: 'Seed of all randomness' });
});

describe('texts that are made to be slow or deep', () => {
  const manyKeys = Array.from({ length: 60_000 }, (_, i) => `k${i}: 1`).join('\n');

  // Quadratic, it takes most of a minute and runs into the test's limit.
  it('are read in a time that does not grow with their square', { timeout: 20_000 }, () => {
    expect(() => parseConfig(manyKeys)).toThrow(ConfigError);
  });

  it.each([
    ['flow', `a: ${'[x,'.repeat(20_000)}`],
    ['block', Array.from({ length: 1200 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['list', `a: ${'{b: ['.repeat(20_000)}`],
  ])('are refused for their depth: %s', (_, text) => {
    expect(() => parseConfig(text)).toThrow(/nested deeper than 32 levels/);
  });

  it.each(['seed: 1\nseed: 2', 'task: {data: a, data: b}', 'a: [{b: 1, "b": 2}]'])(
    'and a key that stands twice is told with its place: %s',
    (text) => {
      expect(() => parseConfig(text)).toThrow(/^whetstone\.yaml:\d+:\d+: Map keys must be unique/);
    },
  );
});
