// Soft Q-learning finds a prompt for the demo's data. Run: npx tsx examples/soft-q.ts [MINUTES]
import { demoTaskConfig, openStore, optimize, parseConfig } from '../src/index.ts';

const minutes = Number(process.argv[2] ?? 2);
const config = parseConfig(
  JSON.stringify({
    task: demoTaskConfig(),
    method: { name: 'soft-q', promptTokens: 5 },
    budget: { minutes },
    seed: 1,
  }),
  { label: 'examples/soft-q.ts' },
);
const store = await openStore();
const result = await optimize(
  { config, path: 'examples/soft-q.ts', folder: '.' },
  {
    store,
    onEvent(event) {
      if (event.kind === 'step') {
        console.log(
          `step ${event.step}: reward ${event.reward.toFixed(1)}, best "${event.bestPrompt}"`,
        );
      }
    },
  },
);
store.close();
console.log(`found "${result.prompt}", test accuracy ${result.test.score.toFixed(3)}`);
