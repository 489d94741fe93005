/** Formats by themselves: any prompt survives writing and reading, and none breaks out of a card. */
import { spawnSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { configSchema } from '../runs/config-schema.ts';
import { sealSplit, type TextTask } from '../tasks/index.ts';
import type { Exporter, ReadBack, WrittenFile } from './exporter.ts';
import type { Finding } from './finding.ts';
import { type Asking, formOf, sourceOf, withoutQuestion } from './form.ts';
import { exporters, exportFormats, loadExporters } from './index.ts';
import { refuseOtherText } from './rescore.ts';

const TEMPLATES: readonly (readonly [Asking, string])[] = [
  ['completion', '{input} {prompt}'],
  ['completion', '{prompt} {input}'],
  ['completion', '{prompt}{input}\nAnswer {{as told}}: '],
  ['mask', '{input} {prompt} {mask} .'],
  ['chat', '[system]\n{prompt}\n[user]\n{input}'],
  ['chat', '[system]\n{prompt}\n[user]\n{input}\n\n{question}'],
  ['chat', '[user]\n{{"text": "{input}"}}\n{prompt}'],
  ['chat', '[system]\nBe brief.\n[conversation]\n[user]\n{prompt} {input}\n[assistant]\nWell:'],
];

function findingOf(prompt: string, [asking, template]: (typeof TEMPLATES)[number]): Finding {
  const example = { id: '1', input: 'the food {was} good', golds: ['yes'], question: 'was it?' };
  const plain = { ...example, input: 'the food was good' };
  const score = { score: 0.5, interval: [0.4, 0.6] as const, examples: 100 };
  const task = {
    kind: 'text',
    name: 'tiny',
    description: '',
    train: [example],
    validation: [example, plain],
    test: sealSplit([example]),
    hashes: {},
  } as unknown as TextTask;
  const result = {
    kind: 'result' as const,
    method: 'random',
    kindOfResult: 'text' as const,
    prompt,
    promptTokens: [1],
    train: score,
    validation: score,
    test: score,
    evaluations: 10,
    seconds: 1,
    runId: 'r',
    rows: [{ method: 'random', prompt, validation: score, test: score }],
  };
  return {
    run: { id: '20260101-000000-abcd', method: 'random', state: 'done', config: {}, seed: 1, versions: {}, hashes: {}, started: new Date(0), result } as unknown as Finding['run'],
    config: configSchema.parse({
      task: {
        data: 'a.csv',
        ...(template.includes('{question}') ? { question: 'q', kind: 'question-answering', input: 'i', gold: 'g' } : {}),
      },
    }),
    kind: 'text',
    prompt,
    template,
    form: formOf(asking, template),
    answers: { asking, maxTokens: 8, stop: ['\n'], metric: 'exact', ...(asking === 'chat' ? {} : { labels: [{ gold: '0', word: 'no' }, { gold: '1', word: 'yes' }] }) },
    task,
    taskLm: 'model',
    policyLm: 'model',
    methodSummary: '',
    files: [],
    lineage: [{ step: 1, prompt, reward: 1 }],
    found: score,
    bench: undefined as never,
  }; // biome-ignore format: a record
}

/** The same of a task that has no question beside its input. */
function withoutQuestions(finding: Finding): Finding {
  const config = configSchema.parse({ task: { data: 'a.csv' } });
  return { ...finding, config, form: withoutQuestion(finding.form) };
}

async function through(exporter: Exporter, finding: Finding): Promise<ReadBack> {
  const written: readonly WrittenFile[] = await exporter.write(finding, '');
  const bytes = written.map(
    ({ name, data }) => [name, typeof data === 'string' ? Buffer.from(data) : data] as const,
  );
  return exporter.read({ files: new Map(bytes), folder: '', finding });
}

const NASTY = [
  '',
  ' ',
  '  two spaces  ',
  '\n',
  '{{input}}',
  '{{input}} {{input_2}} {{question}} {{conversation}}',
  '{input} {prompt} {question} {mask}',
  '{% raw %} {# x #} {{ "{" }} {{{{',
  '{',
  '}}',
  '[user]\n[system]',
  '```\n## Exactly\n```json\n"x"\n```',
  '</pre><script>alert(1)</script><!--',
  '"; process.exit(); //',
  `\`${1}\``,
  'it\'s \\ \\\\ \\n "quoted"',
  '\u0000\u001b[31m\u202e\u200b\u2028\ufeff\u00a0\u{e0041}',
  'file:///etc/passwd',
  '--- \n- a: b # no comment',
  '&lt;b&gt; &amp;#39; &#39;',
  '# not a heading\n| a | b |',
  '好 😀 é',
  'Text: a\nAnswer: yes\n\nText: b\nAnswer:',
];

describe.each(exportFormats.filter((name) => name !== 'peft'))('%s', (name) => {
  const check = async (prompt: string) => {
    const exporter = await exporters[name].load();
    for (const template of TEMPLATES) {
      if (exporter.asking && !exporter.asking.includes(template[0])) continue;
      const finding = findingOf(prompt, template);
      const back = await through(exporter, finding);
      expect(() => refuseOtherText(back, finding)).not.toThrow();
      const unasked = withoutQuestions(finding);
      const other = await through(exporter, unasked);
      expect(() => refuseOtherText(other, unasked)).not.toThrow();
      // Formats that keep them apart, and leave nothing out, give them back to the letter.
      if (['json', 'text', 'markdown', 'html'].includes(name)) {
        expect(back).toEqual({ kind: 'text', prompt, template: template[1] });
      }
    }
  };

  it.each(NASTY)('holds %j', check);

  it('holds any prompt', () =>
    fc.assert(fc.asyncProperty(fc.string({ unit: 'binary', maxLength: 40 }), check), { numRuns: 20 })); // biome-ignore format: one call

  it('holds any prompt of braces, quotes and marks', () => {
    const unit = fc.constantFrom(...'{}"\'`\\\n #%|<>&-$ax'.split(''), '{{input}}', '[user]', '${');
    const prompts = fc.array(unit, { maxLength: 12 }).map((units) => units.join(''));
    return fc.assert(fc.asyncProperty(prompts, check), { numRuns: 30 });
  });
});

/** Controls but the line end, zero width, directions. */
const HIDDEN = /[^\P{Cc}\n]|[\u200b-\u200f\u202a-\u202e\u2028]/u;

describe('cards', () => {
  /** Tags in their order, without those that mark odd characters. */
  const tags = (page: string) =>
    [...page.replace(/<i class="odd">[^<]*<\/i>/g, '').matchAll(/<[^>]*>?/g)].map(([tag]) => tag);
  const page = async (name: 'html' | 'markdown', prompt: string) => {
    const exporter = await exporters[name].load();
    const [file] = await exporter.write(findingOf(prompt, TEMPLATES[0]!), '');
    return String(file!.data);
  };
  const any = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom(...NASTY));

  it('HTML has the same elements whatever the prompt', async () => {
    const plain = tags(await page('html', 'x'));
    await fc.assert(
      fc.asyncProperty(any, async (prompt) => {
        const text = await page('html', prompt);
        expect(tags(text)).toEqual(plain);
        expect(text).not.toMatch(HIDDEN);
      }),
      { numRuns: 40 },
    );
  });

  it('Markdown has the same lines whatever the prompt, and nothing outside of code', async () => {
    // A prompt stands in code spans of its line, or in the JSON block at the end.
    const shape = (text: string) =>
      text.split('\n').map((line) =>
        line
          .replace(/(`+) .*? \1(?!`)/g, '')
          .replace(/^ {2}"prompt": .*/, '')
          .replace(/\d+(, \d+ of them)?/g, ''),
      );
    const plain = shape(await page('markdown', 'x'));
    await fc.assert(
      fc.asyncProperty(any, async (prompt) => {
        const text = await page('markdown', prompt);
        expect(shape(text)).toEqual(plain);
        expect(text).not.toMatch(HIDDEN);
      }),
      { numRuns: 40 },
    );
  });
});

it('refuses what is damaged', async () => {
  for (const exporter of await loadExporters()) {
    if (exporter.name === 'peft' || exporter.name === 'text') continue;
    const finding = findingOf('a prompt', TEMPLATES[4]!);
    const [file] = await exporter.write(finding, '');
    const half = String(file!.data).slice(0, String(file!.data).length / 2);
    const read = async () =>
      refuseOtherText(
        await exporter.read({
          files: new Map([[file!.name, Buffer.from(half)]]),
          folder: '',
          finding,
        }),
        finding,
      );
    await expect(read(), exporter.name).rejects.toThrow();
  }
});

describe('a task of inputs alone', () => {
  const finding = withoutQuestions(findingOf('Be brief.', ['chat', '[system]\n{prompt}\n[user]\n{input}\n\n{question}'])); // biome-ignore format: one call
  const written = async (name: 'openai' | 'promptfoo' | 'langchain' | 'ai-sdk') => {
    const exporter = await exporters[name].load();
    return (await exporter.write(finding, '')).map(({ data }) => String(data));
  };

  it.each(['openai', 'promptfoo', 'langchain', 'ai-sdk'] as const)(
    'leaves no question to fill in: %s',
    async (name) => {
      expect((await written(name)).join()).not.toMatch(/question/);
    },
  );

  it('is a body that needs the input alone, as it is sent', async () => {
    const [body, note] = await written('openai');
    expect(JSON.parse(body!).messages).toEqual([
      { role: 'system', content: 'Be brief.' },
      { role: 'user', content: '{{input}}' },
    ]);
    expect(note).not.toContain('conversation');
  });

  it('tells promptfoo that a server without a key wants none', async () => {
    const [text] = await written('promptfoo');
    expect(text).toContain('apiKeyRequired: false');
  });
});

describe.skipIf(spawnSync('jq', ['--version']).status !== 0)(
  'the command beside openai.json (needs jq)',
  () => {
    it('fills each place once, whatever the texts hold', async () => {
      const exporter = await exporters.openai.load();
      const [body, note] = await exporter.write(findingOf('Be {{input}}.', ['chat', '[system]\n{prompt}\n[user]\n{input}: {question}']), ''); // biome-ignore format: one call
      const folder = await mkdtemp(join(tmpdir(), 'whetstone-jq-'));
      await writeFile(join(folder, 'openai.json'), String(body!.data));
      const command = /```sh\n(jq .*) \|\n/.exec(String(note!.data))![1]!;
      const env = {
        ...process.env,
        TEXT: 'a "{{question_2}}" $(b)',
        QUESTION: "it's {{input_2}}?",
      };
      const ran = spawnSync('sh', ['-c', command], { cwd: folder, env, encoding: 'utf8' });
      await rm(folder, { recursive: true });
      expect(JSON.parse(ran.stdout).messages).toEqual([
        { role: 'system', content: 'Be {{input}}.' },
        { role: 'user', content: 'a "{{question_2}}" $(b): it\'s {{input_2}}?' },
      ]);
    });
  },
);

it('tells another prompt from the one that was found', () => {
  const finding = findingOf('a prompt', TEMPLATES[0]!);
  const other = { kind: 'text', prompt: 'a promp', template: TEMPLATES[0]![1] } as const;
  expect(() => refuseOtherText(other, finding)).toThrow('do not hold the prompt that was found');
  // What a text file cannot hold: half a surrogate pair.
  const half = findingOf('\ud800', TEMPLATES[0]!);
  const asText = { kind: 'text', prompt: '\ufffd', template: TEMPLATES[0]![1] } as const;
  expect(() => refuseOtherText(asText, half)).toThrow('take the format json');
});

it('templates are their forms', () => {
  for (const [asking, template] of TEMPLATES) {
    const form = formOf(asking, template);
    expect(formOf(asking, sourceOf(form))).toEqual(form);
  }
});
