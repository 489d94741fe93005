/** The files that `whetstone init` writes. The rows come from the bundled data set. */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { ConfigError, StoreError } from '../errors.ts';
import { readTable } from '../tasks/data-file.ts';
import { demoFolder } from '../tasks/demo.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { packageRoot } from '../util/package-root.ts';

/** Rows of each label: enough for splits that say something. */
const ROWS_OF_EACH = 100;

export interface StarterFile {
  readonly path: string;
  readonly about: string;
}

/**
 * Writes both files or, where one is there already, none.
 * @throws ConfigError when a file is there and `force` is not set
 */
export async function writeStarter(
  folder: string,
  { force }: { force: boolean },
): Promise<StarterFile[]> {
  const config = resolve(folder, 'whetstone.yaml');
  const data = resolve(folder, 'reviews.csv');
  const taken = [config, data].find((path) => existsSync(path));
  if (taken !== undefined && !force) {
    throw new ConfigError(`${relative('.', taken)}: is there already; --force overwrites it`);
  }
  const csv = await sampleCsv();
  try {
    await mkdir(resolve(folder), { recursive: true });
    await writeFileAtomic(data, csv);
    await writeFileAtomic(config, starterYaml(schemaPath(resolve(folder))));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StoreError(`${folder}: cannot be written (${code ?? String(error)})`);
  }
  return [
    { path: config, about: 'the task, the models, the method, the budget' },
    { path: data, about: `${2 * ROWS_OF_EACH} labelled remarks` },
  ];
}

/** The first rows of each label of the demo's training data. */
async function sampleCsv(): Promise<string> {
  const lines = ['text,label'];
  const counts = new Map<string, number>();
  const words: Readonly<Record<string, string>> = { '0': 'negative', '1': 'positive' };
  for await (const { values } of readTable(join(demoFolder(), 'train.tsv'))) {
    const gold = values.get('label') ?? '';
    const count = counts.get(gold) ?? 0;
    if (count >= ROWS_OF_EACH) continue;
    counts.set(gold, count + 1);
    const text = (values.get('text') ?? '').replaceAll('"', '""');
    lines.push(`"${text}",${words[gold] ?? gold}`);
  }
  return `${lines.join('\n')}\n`;
}

/** An installed package is named by a path that holds on another machine, too. */
function schemaPath(folder: string): string {
  const asset = join(packageRoot(), 'assets', 'whetstone.schema.json');
  const path = relative(folder, asset);
  return path.startsWith('.') ? path : `./${path}`;
}

function starterYaml(schema: string): string {
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
  name: soft-q               # soft-q, policy-gradient, manual, random

budget:                      # the search ends at whichever comes first
  minutes: 5
  # evaluations: 100000      # examples that the task LM answers

seed: 1
precision: { search: int8 }  # finalists are always scored again in float32
device: cpu                  # cpu, webgpu, cuda
`;
}
