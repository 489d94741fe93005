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
      json: { type: 'boolean', default: true },
    },
  });
  if (positionals[0] !== 'reward') {
    throw new ConfigError(
      `bench: there is no benchmark "${positionals[0] ?? ''}", known is reward`,
    );
  }
  if (!values.data) throw new ConfigError('bench reward: name a folder with train.tsv by --data');
  const { benchReward } = await import('./reward.ts');
  console.log(JSON.stringify(await benchReward(values.model, values.data, Number(values.prompts))));
  process.exit(0);
} catch (error) {
  const isUsage = error instanceof TypeError;
  console.error(`whetstone: ${(error as Error).message}`);
  process.exit(isUsage ? 2 : exitCodeOf(error));
}
