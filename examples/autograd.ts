// Fits y = 3x − 1 by gradients of our own graph. Run: npx tsx examples/autograd.ts
import * as t from '../src/tensor/index.ts';

const [x, y] = [t.input('x', ['N']), t.input('y', ['N'])];
const [w, b] = [t.input('w', []), t.input('b', [])];
const loss = t.reduceMean(t.square(t.sub(t.add(t.mul(x, w), b), y)));
const [dw, db] = t.grad(loss, [w, b]);
console.log(t.printGraph({ loss, dw: dw!, db: db! }));

const engine = new t.Engine();
const learner = await t.loadLearner(engine, { quantities: { loss }, parameters: [w, b] });
const data = [-2, -1, 0, 1, 2];
const feeds = { x: t.float32(data), y: t.float32(data.map((v) => 3 * v - 1)) };

const optimizer = t.sgd({ learningRate: 0.05, momentum: 0.8 });
let parameters: t.Parameters = { w: Float32Array.of(0), b: Float32Array.of(0) };
let state = optimizer.init(parameters);
for (let step = 1; step <= 100; step++) {
  const { quantities, gradients } = await learner.run(parameters, feeds);
  [parameters, state] = optimizer.update(parameters, gradients, state);
  if (step % 20 === 0) console.log(`step ${step}: loss ${quantities.loss!.toExponential(2)}`);
}
console.log(`y = ${parameters.w![0]!.toFixed(3)}·x + ${parameters.b![0]!.toFixed(3)}`);
await engine.close();
