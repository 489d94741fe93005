/** `npm run --silent bench -- NAME …`: one JSON line a benchmark. */
import { parseArgs } from 'node:util';
import { ConfigError, exitCodeOf } from '../src/errors.ts';
import type { Precision } from '../src/models/prepared-weights.ts';

try {
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      model: { type: 'string', default: 'smollm2-135m-instruct' },
      data: { type: 'string' },
      prompts: { type: 'string', default: '64' },
      steps: { type: 'string', default: '150' },
      tokens: { type: 'string', default: '768' },
      seeds: { type: 'string', default: '5' },
      precision: { type: 'string', default: 'int8-blocks' },
      calls: { type: 'string', default: '10000' },
      events: { type: 'string', default: '1000000' },
      folder: { type: 'string' },
      table: { type: 'boolean', default: false },
      json: { type: 'boolean', default: true },
    },
  });
  const name = positionals[0] ?? '';
  const { model } = values;
  const data = () => {
    if (values.data) return values.data;
    throw new ConfigError(`bench ${name}: name a folder with train.tsv by --data`);
  };
  const print = (result: object) => console.log(JSON.stringify(result));
  const benches: Record<string, () => Promise<void>> = {
    'big-store': async () => {
      const { benchBigStore } = await import('./big-store.ts');
      const events = Number(values.events);
      print(await benchBigStore({ events, prompts: events / 10 }, values.folder));
    },
    reward: async () => {
      const { benchReward } = await import('./reward.ts');
      print(await benchReward(model, data(), Number(values.prompts)));
    },
    studio: async () => {
      const { benchStudio } = await import('./studio.ts');
      const events = Number(values.events);
      print(await benchStudio({ events, prompts: events / 10 }, values.folder));
    },
    'soft-prompt': async () => {
      const { benchSoftPrompt } = await import('./gradients.ts');
      print(await benchSoftPrompt(model, data()));
    },
    gradient: async () => {
      const { benchGradient } = await import('./gradients.ts');
      print(await benchGradient(model, data()));
    },
    'training-memory': async () => {
      const { benchTrainingMemory } = await import('./training-memory.ts');
      print(await benchTrainingMemory(model, Number(values.tokens)));
    },
    autoprompt: async () => {
      const { benchAutoprompt } = await import('./autoprompt.ts');
      print(await benchAutoprompt(model, data(), Number(values.prompts)));
    },
    'token-gradient': async () => {
      const { benchTokenGradient } = await import('./token-gradient.ts');
      print(await benchTokenGradient(model, data(), Number(values.prompts)));
    },
    generate: async () => {
      const { benchGenerate } = await import('./generate.ts');
      print(await benchGenerate(model));
    },
    grpo: async () => {
      const { benchGrpo } = await import('./grpo.ts');
      print(await benchGrpo(model, values.precision as Precision));
    },
    api: async () => {
      const { benchApi } = await import('./api.ts');
      print(await benchApi(Number(values.calls)));
    },
    triad: async () => {
      const { benchTriad } = await import('./triad.ts');
      const { triadTable } = await import('./triad-outcome.ts');
      const lines: object[] = [];
      const counts = { steps: Number(values.steps), seeds: Number(values.seeds) };
      for await (const line of benchTriad(counts)) {
        lines.push(line);
        if (!values.table) print(line);
      }
      if (values.table) console.log(triadTable(lines));
    },
  };
  if (!Object.hasOwn(benches, name)) {
    const known = Object.keys(benches).join(', ');
    throw new ConfigError(`bench: there is no benchmark "${name}", known are ${known}`);
  }
  await benches[name]!();
  process.exit(0);
} catch (error) {
  const isUsage = error instanceof TypeError;
  console.error(`whetstone: ${(error as Error).message}`);
  process.exit(isUsage ? 2 : exitCodeOf(error));
}
