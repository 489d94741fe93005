/** `whetstone models`: what is here, fetch one, ask one for its next tokens. */
import { type Command, Option } from 'commander';
import { wholeNumber, withJson } from '../options.ts';
import { session } from '../session.ts';

interface ScoreOptions {
  readonly text: string;
  readonly top: number;
  readonly precision: 'float32' | 'int8';
  readonly device: 'cpu' | 'webgpu' | 'cuda';
}

export function defineModels(program: Command): void {
  const models = program.command('models').description('list, fetch and try models');
  withJson(models.command('list')).description('known models and where they are').action(runList);
  withJson(models.command('pull'))
    .description('fetch a model into the store')
    .argument('<model>', 'a name of the list, or hf:owner/name')
    .action(runPull);
  withJson(models.command('score'))
    .description('the next tokens after a text, or those at its mask, with log-probabilities')
    .argument('<model>', 'a name, a .gguf file, or a model folder')
    .requiredOption('--text <text>', 'the text to go on from')
    .option('--top <n>', 'how many tokens', wholeNumber(1, 1000), 5)
    .addOption(
      new Option('--precision <p>', 'precision').choices(['float32', 'int8']).default('float32'),
    )
    .addOption(
      new Option('--device <d>', 'device').choices(['cpu', 'webgpu', 'cuda']).default('cpu'),
    )
    .action(runScore);
}

async function runList(): Promise<void> {
  const [{ listModels, modelFolder }, { renderTable }, { formatBytes }] = await Promise.all([
    import('../../models/model-store.ts'),
    import('../render/table.ts'),
    import('../../util/format.ts'),
  ]);
  const { style, width, print, emit } = session();
  const models = await listModels();
  const where = { store: 'here', 'hf-cache': 'here (Hugging Face cache)', absent: 'not here' };
  const rows = models.map((model) => [
    model.name,
    where[model.state],
    model.sizeBytes === undefined ? '' : formatBytes(model.sizeBytes),
    model.licence,
    model.path ?? '',
  ]);
  const columns = [
    { title: 'name' },
    { title: 'state' },
    { title: 'size', align: 'right' as const },
    { title: 'licence' },
    { title: 'path', canShrink: true },
  ];
  for (const line of renderTable(columns, rows, { style: style.out, width })) print(line);
  print('');
  print(`store ${modelFolder()}; also: hf:owner/name, a .gguf file, a model folder`);
  emit({ kind: 'result', folder: modelFolder(), models });
}

async function runPull(name: string): Promise<void> {
  const [{ resolveModel }, { showProgress }] = await Promise.all([
    import('../../models/model-store.ts'),
    import('../show.ts'),
  ]);
  const { region, signal, print, emit } = session();
  const model = await resolveModel(name, { onProgress: showProgress(session()), signal });
  region.close({ keep: false });
  print(`${model.name} is at ${model.path}`);
  emit({ ...model, kind: 'result', format: model.kind });
}

async function runScore(model: string, options: ScoreOptions): Promise<void> {
  const [{ scoreText }, { renderTable }, { showProgress }] = await Promise.all([
    import('../../runs/score.ts'),
    import('../render/table.ts'),
    import('../show.ts'),
  ]);
  const { region, signal, style, width, print, emit } = session();
  const result = await scoreText(model, {
    ...options,
    onProgress: showProgress(session()),
    signal,
  });
  region.close({ keep: false });
  const rows = result.top.map((t) => [
    String(t.id),
    JSON.stringify(t.token),
    t.logProb.toFixed(4),
    Math.exp(t.logProb).toFixed(4),
  ]);
  const columns = [
    { title: 'id', align: 'right' as const },
    { title: 'token' },
    { title: 'log-probability', align: 'right' as const },
    { title: 'probability', align: 'right' as const },
  ];
  for (const line of renderTable(columns, rows, { style: style.out, width })) print(line);
  emit(result);
}
