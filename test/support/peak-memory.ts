/**
 * Runs forward and backward of a stack of wide layers, with and without `recompute`, and prints for
 * each the loss, a checksum of the gradients, and by how many megabytes the process had grown at
 * most. A process of its own, and the larger one last, since a peak never falls.
 */
import * as t from '../../src/tensor/index.ts';
import { createRng } from '../../src/util/rng.ts';

const [rows, width, layers] = [4096, 64, 12];

/** Loss and gradients, these in the order of the layers or against it. */
function outputs(isRecomputed: boolean, order: 'forward' | 'backward'): Record<string, t.Tensor> {
  const parameters: t.Tensor[] = [];
  let x = t.input('x', ['N', width]);
  for (let i = 0; i < layers; i++) {
    const up = t.input(`up${i}`, [width, 4 * width]);
    const down = t.input(`down${i}`, [4 * width, width]);
    parameters.push(up, down);
    const inner = t.matmul(x, up); // [N, 4·width]
    const y = t.add(x, t.matmul(t.mul(t.gelu(inner), t.sigmoid(inner)), down));
    x = isRecomputed ? t.recompute(y, [x]) : y;
  }
  const loss = t.reduceMean(t.square(x));
  const gradients = t.grad(loss, parameters).map((dp, i) => [`d${i}`, dp] as const);
  if (order === 'backward') gradients.reverse();
  return { loss, ...Object.fromEntries(gradients) };
}

/** Inputs by the program's list; the same numbers for the same names. */
function draw({ inputs }: t.Program): Record<string, t.HostTensor> {
  const feeds = inputs.map(({ name, shape }) => {
    const rng = createRng(name);
    const sizes = shape.map((dim) => (dim === 'N' ? rows : (dim as number)));
    const values = Float32Array.from({ length: sizes[0]! * sizes[1]! }, () => rng.normal() / 8);
    return [name, t.float32(values, sizes)] as const;
  });
  return Object.fromEntries(feeds);
}

const engine = new t.Engine({ threads: 1 });
let start: number | undefined;

async function measure(isRecomputed: boolean, order: 'forward' | 'backward') {
  const executable = await engine.load(t.emitProgram(outputs(isRecomputed, order)));
  const feeds = draw(executable.program);
  start ??= process.memoryUsage().rss;
  const out = await executable.run(feeds);
  const riseMb = process.resourceUsage().maxRSS / 1024 - start / 2 ** 20;
  await executable.unload();
  const values = Object.values(out).flatMap((tensor) => [...t.floats(tensor)]);
  const checksum = values.reduce((total, v) => total + Math.abs(v), 0);
  return { loss: t.floats(out.loss)[0]!, checksum, riseMb };
}

async function main(): Promise<void> {
  const recomputed = await measure(true, 'forward');
  const otherOrder = await measure(true, 'backward');
  const plain = await measure(false, 'forward');
  console.log(JSON.stringify({ recomputed, otherOrder, plain }));
  await engine.close();
}

await main();
