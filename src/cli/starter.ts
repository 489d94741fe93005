/** The files that `whetstone init` writes. The rows come from the bundled data set. */
import { existsSync } from 'node:fs';
import { readFile, rm } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { stringify } from 'yaml';
import { ConfigError } from '../errors.ts';
import { type Method, methods } from '../methods/index.ts';
import { readTable } from '../tasks/data-file.ts';
import { demoFolder, demoTaskConfig } from '../tasks/demo.ts';
import { type TaskKind, type TaskKindName, taskKinds } from '../tasks/kinds/index.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { onDisk } from '../util/disk.ts';
import { makeFolder } from '../util/make-folder.ts';
import { packageRoot } from '../util/package-root.ts';

/** The demo's sealed test rows stay out. */
const SOURCES = ['train.tsv', 'validation.tsv'];

export interface StarterFile {
  readonly path: string;
  readonly about: string;
}

/** What a starter of one kind is made of. */
interface Starter {
  readonly dataName: string;
  readonly about: string;
  readonly data: string;
  yaml(schema: string): string;
}

/**
 * Writes both files or, where one is there already, none.
 * @throws ConfigError when a file is there and `force` is not set, StoreError when one cannot be written
 */
export async function writeStarter(
  folder: string,
  { force, kind = 'sentiment' }: { force: boolean; kind?: TaskKindName },
): Promise<StarterFile[]> {
  const starter =
    taskKinds[kind].answers === 'text' ? await textStarter(kind) : await labelStarter();
  const config = resolve(folder, 'whetstone.yaml');
  const data = resolve(folder, starter.dataName);
  const taken = [config, data].find((path) => existsSync(path));
  if (taken !== undefined && !force) {
    throw new ConfigError(`${relative('.', taken)}: is there already; --force overwrites it`);
  }
  const had = existsSync(data);
  try {
    const write = async () => {
      makeFolder(resolve(folder));
      await writeFileAtomic(data, starter.data);
      await writeFileAtomic(config, starter.yaml(schemaPath(resolve(folder))));
    };
    await onDisk(folder, write, 'begin in another folder');
  } catch (error) {
    if (!had) await rm(data, { force: true });
    throw error;
  }
  return [
    { path: config, about: 'the task, the models, the method, the budget' },
    { path: data, about: starter.about },
  ];
}

async function labelStarter(): Promise<Starter> {
  const rows = await sampleRows();
  return {
    dataName: 'reviews.csv',
    about: `${rows.length} labelled remarks`,
    data: `${['text,label', ...rows].join('\n')}\n`,
    yaml: starterYaml,
  };
}

/** Columns of the data file of each kind that is answered in text. */
const columns: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  extraction: { input: 'text', gold: 'fields' },
  'question-answering': { input: 'context', question: 'question', gold: 'answer' },
  translation: { input: 'text', gold: 'translation' },
  summarisation: { input: 'text', gold: 'summary' },
  'style-transfer': { input: 'text', gold: 'formal' },
  arithmetic: { input: 'problem', gold: 'answer' },
};

async function textStarter(kind: TaskKindName): Promise<Starter> {
  const data = await readFile(join(packageRoot(), 'assets', 'starters', `${kind}.jsonl`), 'utf8');
  const dataName = `${kind}.jsonl`;
  return {
    dataName,
    about: `${data.trim().split('\n').length} rows that show the columns`,
    data,
    yaml: (schema) => textYaml(schema, { kind, dataName }),
  };
}

function textYaml(
  schema: string,
  { kind, dataName }: { kind: TaskKindName; dataName: string },
): string {
  const { metric, maxAnswerTokens }: TaskKind = taskKinds[kind];
  const named = Object.entries(columns[kind]!).map(([key, column]) => `  ${key}: ${column}`);
  const all: readonly Method[] = Object.values(methods) as unknown as Method[];
  const others = all.filter(({ name, needs }) => name !== 'reflect' && needs?.taskLm?.includes('text')); // biome-ignore format: one line
  return `# yaml-language-server: $schema=${schema}
# What may stand here: whetstone schema, docs/tasks.md
# What it would ask for: whetstone optimize --dry-run. Run it: whetstone optimize

task:
  kind: ${kind}
  data: ${dataName}          # csv, tsv or jsonl; or { train, validation, test }
${named.join('\n')}
  metric: ${metric as string}            # how answers are judged
  maxAnswerTokens: ${maxAnswerTokens}

# A local model, asked through its own chat template; or one behind an API, as
#   openai:gpt-4.1-mini        (key in OPENAI_API_KEY; needs budget.usd)
#   { provider: openai-compatible, model: NAME, baseUrl: "http://127.0.0.1:8000/v1" }
taskLm: local:smollm2-135m-instruct      # reads the prompt and answers
policyLm: local:smollm2-135m-instruct    # reads failures and writes prompts

method:
  name: manual               # reflect is made for models behind APIs; or ${others
    .map(({ name }) => name)
    .filter((name) => name !== 'manual')
    .join(', ')}

budget:                      # hard caps; the search ends at whichever comes first
  minutes: 5
  evaluations: 2000          # answers of the task LM while searching
  # of all roles, in the whole run:
  # calls: 10000
  # tokens: 2000000
  # usd: 1

seed: 1
`;
}

/** The demo's training and validation rows, with words for labels. */
async function sampleRows(): Promise<string[]> {
  const words: Readonly<Record<string, string>> = { '0': 'negative', '1': 'positive' };
  const rows: string[] = [];
  for (const name of SOURCES) {
    for await (const { values } of readTable(join(demoFolder(), name))) {
      const gold = values.get('label') ?? '';
      const text = (values.get('text') ?? '').replaceAll('"', '""');
      rows.push(`"${text}",${words[gold] ?? gold}`);
    }
  }
  return rows;
}

/** An installed package is named by a path that holds on another machine, too. */
function schemaPath(folder: string): string {
  const asset = join(packageRoot(), 'assets', 'whetstone.schema.json');
  const path = relative(folder, asset);
  return path.startsWith('.') ? path : `./${path}`;
}

function starterYaml(schema: string): string {
  const others = Object.keys(methods).filter((name) => name !== 'policy-gradient');
  return `# yaml-language-server: $schema=${schema}
# What may stand here: whetstone schema. Run it: whetstone optimize

task:
  # csv, tsv or jsonl; one file is split by the seed. Or give the splits:
  #   data: { train: train.csv, validation: validation.csv, test: test.csv }
  data: reviews.csv
  input: text                # column of the text
  gold: label                # column of the gold label
  labels:                    # gold label: the word that the task LM should answer with
    negative: negative
    positive: positive
  template: "{input} {prompt}"
  description: Decide whether a customer remark is negative or positive.

# A name of "whetstone models list", a .gguf file, a model folder, or hf:owner/name
taskLm: local:smollm2-135m-instruct      # reads the prompt and answers
policyLm: local:smollm2-135m-instruct    # writes prompts

method:
  name: policy-gradient      # or ${others.join(', ')}

budget:                      # the search ends at whichever comes first
  minutes: 5
  # evaluations: 100000      # examples that the task LM answers

seed: 1
precision: { search: int8 }  # finalists are always scored again in float32
device: cpu                  # cpu, webgpu, cuda
`;
}

/** A configuration to start with in a form: what `init` writes, on the bundled data. */
export function starterExample(): string {
  const whole = starterYaml('');
  const afterTask = whole.slice(whole.indexOf('\n# A name of'));
  return `${stringify({ task: demoTaskConfig() })}${afterTask}`;
}
