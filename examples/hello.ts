// The reward of two prompts on the demo's data. Run: npx tsx examples/hello.ts
import { demoTaskConfig, Engine, Environment, loadTask, openModel, rewards } from '../src/index.ts';

const engine = new Engine();
const task = await loadTask(demoTaskConfig(), { baseFolder: '.', seed: 1 });
const taskLm = await openModel('smollm2-135m-instruct', { engine });
const environment = new Environment({
  task,
  taskLm,
  examples: task.train,
  reward: rewards.piecewise,
  precision: 'float32',
});
const prompts = ['It was', 'Sentiment:'];
for (const [i, { reward, accuracy }] of (await environment.evaluate(prompts)).entries()) {
  console.log(`"${prompts[i]}": reward ${reward.toFixed(1)}, accuracy ${accuracy.toFixed(2)}`);
}
await engine.close();
