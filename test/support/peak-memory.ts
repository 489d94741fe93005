/**
 * Runs forward and backward of a stack of wide layers and prints the loss, a checksum of the
 * gradients, and by how many megabytes the process grew at most. A process of its own, since a
 * peak never falls. Arguments: plain | recompute, and forward | backward, the order of the outputs.
 */
import * as t from '../../src/tensor/index.ts';
import { createRng } from '../../src/util/rng.ts';

const [mode, order] = process.argv.slice(2);
const [rows, width, layers] = [4096, 64, 12];

async function main(): Promise<void> {
  const parameters: t.Tensor[] = [];
  let x = t.input('x', ['N', width]);
  for (let i = 0; i < layers; i++) {
    const up = t.input(`up${i}`, [width, 4 * width]);
    const down = t.input(`down${i}`, [4 * width, width]);
    parameters.push(up, down);
    const inner = t.matmul(x, up); // [N, 4·width]
    const y = t.add(x, t.matmul(t.mul(t.gelu(inner), t.sigmoid(inner)), down));
    x = mode === 'recompute' ? t.recompute(y, [x]) : y;
  }
  const loss = t.reduceMean(t.square(x));
  const gradients = t.grad(loss, parameters).map((dp, i) => [`d${i}`, dp] as const);
  if (order === 'backward') gradients.reverse();

  const engine = new t.Engine({ threads: 1 });
  const executable = await engine.load(
    t.emitProgram({ loss, ...Object.fromEntries(gradients) } as Record<string, t.Tensor>),
  );
  const rng = createRng(1);
  const draw = (...shape: number[]) =>
    t.float32(
      Float32Array.from({ length: shape[0]! * shape[1]! }, () => rng.normal() / 8),
      shape,
    );
  const feeds: Record<string, t.HostTensor> = { x: draw(rows, width) };
  for (const { name, shape } of executable.program.inputs) {
    feeds[name] ??= draw(...(shape as number[]));
  }
  const before = process.memoryUsage().rss;
  const out = await executable.run(feeds);
  const riseMb = process.resourceUsage().maxRSS / 1024 - before / 2 ** 20;
  let checksum = 0;
  for (const tensor of Object.values(out))
    for (const v of t.floats(tensor)) checksum += Math.abs(v);
  console.log(JSON.stringify({ loss: t.floats(out.loss)[0], checksum, riseMb }));
  await engine.close();
}

await main();
