// Runs a method of one's own on the demo's data. Run: npx tsx examples/own-method.ts [MINUTES]
import { demoTaskConfig, openStore, optimize, parseConfig } from '../src/index.ts';
import { hillClimber } from './hill-climber.ts';

const config = parseConfig(
  JSON.stringify({
    task: demoTaskConfig(),
    method: { name: 'hill-climber', batchSize: 8 },
    budget: { minutes: Number(process.argv[2] ?? 1) },
  }),
  { label: 'examples/own-method.ts' },
);
const store = await openStore();
const result = await optimize(
  { config, path: 'examples/own-method.ts', folder: '.' },
  {
    store,
    methods: { 'hill-climber': hillClimber },
    onEvent(event) {
      if (event.kind === 'step') console.log(`step ${event.step}: best "${event.bestPrompt}"`);
    },
  },
);
store.close();
console.log(`found "${result.prompt}", test accuracy ${result.test.score.toFixed(3)}`);
