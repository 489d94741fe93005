/** The files that `whetstone init` writes. The rows come from the bundled data set. */
import { existsSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { ConfigError, StoreError } from '../errors.ts';
import { methods } from '../methods/index.ts';
import { readTable } from '../tasks/data-file.ts';
import { demoFolder } from '../tasks/demo.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { makeFolder } from '../util/make-folder.ts';
import { packageRoot } from '../util/package-root.ts';

/** The demo's sealed test rows stay out. */
const SOURCES = ['train.tsv', 'validation.tsv'];

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
  const rows = await sampleRows();
  try {
    makeFolder(resolve(folder));
    await writeFileAtomic(data, `${['text,label', ...rows].join('\n')}\n`);
    await writeFileAtomic(config, starterYaml(schemaPath(resolve(folder))));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StoreError(`${folder}: cannot be written (${code ?? String(error)})`);
  }
  return [
    { path: config, about: 'the task, the models, the method, the budget' },
    { path: data, about: `${rows.length} labelled remarks` },
  ];
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
