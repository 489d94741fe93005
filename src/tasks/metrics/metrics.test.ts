/** What holds for every metric: bounds, identity, symmetry, bounded work, golds that are refused. */
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { ConfigError } from '../../errors.ts';
import { commonLength, editDistance } from './alignment.ts';
import {
  type Embed,
  type Metric,
  type MetricConfig,
  type MetricDefinition,
  metricNames,
  metricOf,
  metricSchema,
  metrics,
  setScore,
} from './index.ts';

/** Counts of letters as a vector: crude, but real. */
const embed: Embed = async (texts) =>
  texts.map((text) => {
    const vector = new Float32Array(16);
    for (let i = 0; i < text.length; i++) vector[text.charCodeAt(i) % 16]! += 1;
    return vector;
  });

const pure = metricNames.filter((name) => !['judge', 'function'].includes(name));
const open = (config: unknown) => metricOf(config, { embed });

async function one(metric: Metric, output: string, ...golds: string[]) {
  return (await metric.score([{ output, golds, input: '' }]))[0]!;
}

function accepts({ check }: Metric, gold: string): boolean {
  try {
    check?.([gold], 'x');
    return true;
  } catch (error) {
    if (error instanceof ConfigError) return false;
    throw error;
  }
}

const unit = 'binary'; // any code point, lone surrogates too
const text = fc.oneof(
  fc.string({ unit, maxLength: 60 }),
  fc.string({ unit: 'grapheme' }),
  fc.stringMatching(/^[a-c,. 0-9{}":-]{0,40}$/),
  fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer())).map((o) => JSON.stringify(o)),
);

describe.each(pure)('%s', (name) => {
  it('stays in [0, 1], is 1 for the gold itself, and the best gold counts', async () => {
    const metric = await open(name);
    await fc.assert(
      fc.asyncProperty(text, text, text, async (output, a, b) => {
        if (!accepts(metric, a) || !accepts(metric, b)) return;
        const scores = [await one(metric, output, a), await one(metric, output, b)];
        const both = await one(metric, output, a, b);
        for (const score of [...scores, both]) {
          if (score !== null) expect(score >= 0 && score <= 1).toBe(true);
        }
        // BLEU counts an n-gram that stands in any gold; a regular expression need not match itself.
        if (name !== 'bleu' && both !== null) expect(both).toBe(Math.max(...scores.map(Number)));
        if (name === 'regex') return;
        const same = await one(metric, a, a);
        if (same !== null) expect(same).toBeCloseTo(1, 6);
      }),
      { numRuns: 200 },
    );
  });

  it('takes long texts in bounded time', async () => {
    const metric = await open(name);
    const long = Array.from({ length: 5000 }, (_, i) => 'ab c{1"'[(i * i) % 7]).join('');
    const golds = [long.replaceAll('b', 'd'), '{"a": 1}', 'a*1'];
    const gold = golds.find((each) => accepts(metric, each))!;
    const started = performance.now();
    for (const output of [long, 'a'.repeat(100_000), '{'.repeat(20_000), '1,'.repeat(20_000)]) {
      await one(metric, output, gold);
    }
    expect(performance.now() - started).toBeLessThan(30_000);
  });
});

describe.each(['exact', 'normalised', 'token-f1', 'edit-similarity', 'rouge-l'])('%s', (name) => {
  it('is the same with output and gold exchanged', async () => {
    const metric = await open(name);
    await fc.assert(
      fc.asyncProperty(text, text, async (a, b) => {
        expect(await one(metric, a, b)).toBeCloseTo(await one(metric, b, a), 12);
      }),
    );
  });
});

describe('alignment', () => {
  const items = fc.array(fc.constantFrom('a', 'b', 'c'), { maxLength: 150 });

  /** The table of the definition, cell by cell. */
  function table(a: string[], b: string[]): { distance: number; common: number } {
    let distances = Array.from({ length: b.length + 1 }, (_, j) => j);
    let commons = new Array<number>(b.length + 1).fill(0);
    for (let i = 1; i <= a.length; i++) {
      const [row, shared] = [[i], [0]];
      for (let j = 1; j <= b.length; j++) {
        const isSame = a[i - 1] === b[j - 1];
        const replaced = distances[j - 1]! + (isSame ? 0 : 1);
        row.push(Math.min(distances[j]! + 1, row[j - 1]! + 1, replaced));
        shared.push(isSame ? commons[j - 1]! + 1 : Math.max(commons[j]!, shared[j - 1]!));
      }
      [distances, commons] = [row, shared];
    }
    return { distance: distances.at(-1)!, common: commons.at(-1)! };
  }

  it('is that of the table of its definition', () => {
    fc.assert(
      fc.property(items, items, (a, b) => {
        const { distance, common } = table(a, b);
        expect([editDistance(a, b), commonLength(a, b)]).toEqual([distance, common]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('golds that cannot be judged by', () => {
  it.each([
    [
      'numeric',
      ['12', 'twelve'],
      'x: metric numeric needs a number in every gold answer, but gold',
    ],
    ['json', ['{}', '[1]'], 'gold answer 2 of 2 is "[1]"; correct it or take another metric'],
    ['json', ['{"a": 1', '{}'], 'gold answer 1 of 2'],
    ['rouge-l', ['ok', '猫。'], 'take metric chrf, which reads every script'],
    ['chrf', [' '], 'not empty'],
    ['bleu', ['\n'], 'not empty'],
    ['contains', [''], 'which every output contains'],
    ['regex', ['a('], 'regular expressions'],
  ])('%s refuses %j', async (name, golds, message) => {
    const { check } = await open(name);
    expect(() => check!(golds, 'x')).toThrow(ConfigError);
    expect(() => check!(golds, 'x')).toThrow(message);
  });
});

describe('embedding-similarity', () => {
  it('embeds every text once, and has no opinion on what has no direction', async () => {
    const asked: string[] = [];
    const counting: Embed = async (texts) => {
      asked.push(...texts);
      return embed(texts);
    };
    const metric = await metricOf('embedding-similarity', { embed: counting });
    const golds = ['ab', 'zz'];
    const answers = ['ab', 'ba', '', 'ab'].map((output) => ({ output, golds, input: '' }));
    expect((await metric.score(answers)).map((s) => s && Number(s.toFixed(6)))).toEqual([
      1,
      1,
      null,
      1,
    ]);
    expect(asked).toEqual(['ab', 'zz', 'ba', '']);
  });

  it('never goes below 0', async () => {
    const opposite: Embed = async () => [Float32Array.of(1), Float32Array.of(-1)];
    const metric = await metricOf('embedding-similarity', { embed: opposite });
    expect(await one(metric, 'a', 'b')).toBe(0);
  });
});

describe('the configuration', () => {
  it.each<MetricConfig>(['chrf', 'judge', { name: 'numeric', tolerance: 0.01 }])(
    'takes %j',
    (config) => {
      expect(metricSchema.safeParse(config).success).toBe(true);
    },
  );

  it.each(['function', 'none', { name: 'numeric', tolerance: -1 }, { name: 'exact', x: 1 }, {}, 3])(
    'refuses %j',
    (config) => {
      expect(metricSchema.safeParse(config).success).toBe(false);
    },
  );

  it('says what is wrong', async () => {
    await expect(open('crf')).rejects.toThrow('there is no metric crf (did you mean chrf?)');
    await expect(open('perplexity')).rejects.toThrow('known: exact, normalised');
    await expect(open({ name: 'numeric', tolerence: 1 })).rejects.toThrow(
      'metric numeric has no option tolerence (did you mean tolerance?)',
    );
    await expect(open({ name: 'chrf', beta: 'x' })).rejects.toThrow('metric chrf: beta: ');
    await expect(open(undefined)).rejects.toThrow('without a name');
    await expect(metricOf('embedding-similarity')).rejects.toThrow('embeds texts');
  });

  it('is a JSON Schema that names every metric and option', () => {
    const schema = JSON.stringify(z.toJSONSchema(metricSchema, { io: 'input' }));
    for (const { name, options } of Object.values(metrics)) {
      for (const word of [name, ...Object.keys(options)]) expect(schema).toContain(`"${word}"`);
    }
  });

  const pageOf = (path: string) =>
    readFileSync(new URL(`../../../docs/${path}`, import.meta.url), 'utf8');

  it.each(Object.entries(metrics))('%s has its page, with every option on it', (key, metric) => {
    const { name, options } = metric;
    expect(key).toBe(name);
    expect(pageOf('metrics.md')).toContain(`\n| [\`${name}\`](metrics/${name}.md) `);
    const page = pageOf(`metrics/${name}.md`);
    for (const option of Object.keys(options)) expect(page).toContain(`\`${option}\``);
  });

  const computed = Object.values(metrics).filter(({ name, needs }: MetricDefinition) => {
    return needs === undefined && name !== 'function';
  });
  it.each(computed.map(({ name }) => name))('%s scores as its page says', async (name) => {
    const page = pageOf(`metrics/${name}.md`);
    const [, yaml] = page.match(/```yaml\n([^`]*)```/)!;
    const metric = await metricOf(parse(yaml!).task.metric);
    const rows = [...page.matchAll(/^\| (`.*`|\(empty\)) +\| (`.*`|\(empty\)) +\| (\S+) +\|$/gm)];
    expect(rows.length).toBeGreaterThan(1);
    const text = (cell: string) => (cell === '(empty)' ? '' : cell.slice(1, -1));
    const answers = rows.map(([, output, gold]) => {
      return { output: text(output!), golds: [text(gold!)], input: '' };
    });
    const scores = await metric.score(answers);
    expect(scores.map((score) => Math.round(1000 * score!) / 1000)).toEqual(
      rows.map(([, , , score]) => Number(score)),
    );
  });
});

describe('the score of a set', () => {
  const answers = [
    { output: 'a b c d', golds: ['a b c d'], input: '' },
    { output: 'x', golds: ['y z'], input: '' },
  ];

  it("is the metric's own, or the mean of what could be judged", async () => {
    const [bleu, exact] = [await open('bleu'), await open('exact')];
    expect(setScore(bleu, answers, [1, 0])).toBe(bleu.corpus!(answers));
    expect(setScore(bleu, answers, [1, 0])).not.toBe(0.5);
    expect(setScore(exact, answers, [1, null])).toBe(1);
    expect(setScore(exact, answers, [null, null])).toBeNull();
  });
});
