// A character-level transformer of a few thousand parameters, trained from nothing on the text
// below; only `tensor` is used. Run: npx tsx examples/train-tiny-lm.ts [steps]
import * as t from '../src/tensor/index.ts';
import { createRng } from '../src/util/rng.ts';

const TEXT = `the cat sat on the mat. the dog sat on the log. the hen sat on the pen.
the cat saw the dog. the dog saw the hen. the hen saw the cat. who sat on the mat? the cat sat.
who sat on the log? the dog sat. who sat on the pen? the hen sat. who saw the dog? the cat saw.
a cat has a hat and a hen has a pen. a dog has a log, and the log has a dog.
`;
const CHARACTERS = [...new Set(TEXT)].sort();
const [V, D, H, T, LAYERS, B] = [CHARACTERS.length, 24, 2, 32, 1, 16];
const ids = [...TEXT].map((character) => CHARACTERS.indexOf(character));
const rng = createRng(1);

// Parameters: a table of shapes, then inputs and first values of these shapes.
const shapes: Record<string, number[]> = { embedding: [V, D], position: [T, D], 'norm.end': [D] };
for (let i = 0; i < LAYERS; i++) {
  Object.assign(shapes, {
    [`${i}.qkv`]: [D, 3 * D],
    [`${i}.out`]: [D, D],
    [`${i}.up`]: [D, 4 * D],
    [`${i}.down`]: [4 * D, D],
    [`${i}.norm.1`]: [D],
    [`${i}.norm.2`]: [D],
  });
}
const inputs = Object.fromEntries(Object.entries(shapes).map(([n, s]) => [n, t.input(n, s)]));
const p = (name: string): t.Tensor => inputs[name]!;
let parameters: t.Parameters = Object.fromEntries(
  Object.entries(shapes).map(([name, shape]) => {
    const size = shape.reduce((a, b) => a * b, 1);
    const scale = name.includes('norm') ? 0 : 1 / Math.sqrt(D);
    const first = () => (scale === 0 ? 1 : scale * rng.normal());
    return [name, Float32Array.from({ length: size }, first)];
  }),
);

/** Logits [B, T, V] of the next character after each of `tokens` [B, T]. */
function model(tokens: t.Tensor): t.Tensor {
  const at = t.range('T');
  const seen = t.greaterOrEqual(t.reshape(at, ['T', 1]), t.reshape(at, [1, 'T']));
  const mask = t.where(seen, t.constant(0), t.constant(-1e9)); // [T, T]
  const heads = (x: t.Tensor) => t.transpose(t.reshape(x, ['B', 'T', H, D / H]), [0, 2, 1, 3]);
  let x = t.add(t.gather(p('embedding'), tokens), t.gather(p('position'), at)); // [B, T, D]
  for (let i = 0; i < LAYERS; i++) {
    const normed = t.rmsNorm(x, p(`${i}.norm.1`), 1e-5);
    const [q, k, v] = t.split(t.matmul(normed, p(`${i}.qkv`)), [D, D, D], -1).map(heads);
    const scores = t.matmul(q!, k!, { transB: true, alpha: 1 / Math.sqrt(D / H) });
    const mixed = t.matmul(t.softmax(t.add(scores, mask)), v!); // [B, H, T, D/H]
    const rows = t.reshape(t.transpose(mixed, [0, 2, 1, 3]), ['B', 'T', D]);
    x = t.add(x, t.matmul(rows, p(`${i}.out`)));
    const inner = t.matmul(t.rmsNorm(x, p(`${i}.norm.2`), 1e-5), p(`${i}.up`));
    x = t.add(x, t.matmul(t.gelu(inner), p(`${i}.down`)));
  }
  return t.matmul(t.rmsNorm(x, p('norm.end'), 1e-5), p('embedding'), { transB: true });
}

const engine = new t.Engine();
const tokens = t.input('tokens', ['B', 'T'], 'int64');
const logits = model(tokens);
const loss = t.reduceMean(t.crossEntropy(logits, t.input('next', ['B', 'T'], 'int64')));
const learner = await t.loadLearner(engine, {
  quantities: { loss },
  parameters: Object.values(inputs),
});
const writer = await engine.load(t.emitProgram({ probabilities: t.softmax(logits) }));

/** Writes on from `start`, drawing each character from the model's probabilities. */
async function sample(start: string, length: number): Promise<string> {
  let text = start;
  const weights = Object.entries(shapes).map(([n, s]) => [n, t.float32(parameters[n]!, s)]);
  while (text.length < length) {
    const window = [...text].slice(-T).map((character) => CHARACTERS.indexOf(character));
    const feeds = { ...Object.fromEntries(weights), tokens: t.int64(window, [1, window.length]) };
    const last = t.floats((await writer.run(feeds)).probabilities).slice(-V);
    let [drawn, rest] = [0, rng.next()];
    while (drawn < V - 1 && rest >= last[drawn]!) rest -= last[drawn++]!;
    text += CHARACTERS[drawn];
  }
  return text;
}

const steps = Number(process.argv[2] ?? 300);
const learningRate = t.cosineRate({ peak: 0.01, warmupSteps: Math.ceil(steps / 20), steps });
const optimizer = t.adamw({ learningRate });
let state = optimizer.init(parameters);
const count = Object.values(parameters).reduce((total, values) => total + values.length, 0);
console.log(`${count} parameters, ${V} characters, ${learner.executable.program.nodeCount} nodes`);
for (let step = 1; step <= steps; step++) {
  const starts = Array.from({ length: B }, () => rng.integer(ids.length - T));
  const { quantities, gradients } = await learner.run(parameters, {
    tokens: t.int64(
      starts.flatMap((s) => ids.slice(s, s + T)),
      [B, T],
    ),
    next: t.int64(
      starts.flatMap((s) => ids.slice(s + 1, s + T + 1)),
      [B, T],
    ),
  });
  [parameters, state] = optimizer.update(parameters, t.clipByGlobalNorm(gradients, 1), state);
  if (step === 1 || step % Math.ceil(steps / 6) === 0) {
    const text = (await sample('the ', 50)).replaceAll('\n', ' ');
    console.log(`step ${step}: loss ${quantities.loss!.toFixed(3)}  ${text}`);
  }
}
await engine.close();
