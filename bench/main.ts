/** `npm run --silent bench -- NAME …`: one JSON line a benchmark. */
import { parseArgs } from 'node:util';
import { ConfigError, exitCodeOf } from '../src/errors.ts';

try {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', default: 'smollm2-135m-instruct' },
      data: { type: 'string' },
      prompts: { type: 'string', default: '64' },
      steps: { type: 'string', default: '200' },
      seeds: { type: 'string', default: '5' },
      table: { type: 'boolean', default: false },
      json: { type: 'boolean', default: true },
    },
  });
  const name = positionals[0] ?? '';
  if (name === 'reward') {
    if (!values.data) throw new ConfigError('bench reward: name a folder with train.tsv by --data');
    const { benchReward } = await import('./reward.ts');
    const result = await benchReward(values.model, values.data, Number(values.prompts));
    console.log(JSON.stringify(result));
  } else if (name === 'triad') {
    const { benchTriad } = await import('./triad.ts');
    const { triadTable } = await import('./triad-outcome.ts');
    const lines: object[] = [];
    const counts = { steps: Number(values.steps), seeds: Number(values.seeds) };
    for await (const line of benchTriad(counts)) {
      lines.push(line);
      if (!values.table) console.log(JSON.stringify(line));
    }
    if (values.table) console.log(triadTable(lines));
  } else {
    throw new ConfigError(`bench: there is no benchmark "${name}", known are reward and triad`);
  }
  process.exit(0);
} catch (error) {
  const isUsage = error instanceof TypeError;
  console.error(`whetstone: ${(error as Error).message}`);
  process.exit(isUsage ? 2 : exitCodeOf(error));
}
