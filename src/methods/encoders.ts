/**
 * Reparametrisations of virtual tokens: virtual = start + f(e), where e [P, H] and f's weights are
 * learnt and `start` is not. The last matrix of f begins at zero, so training begins at `start`.
 *
 * - `mlp`: three dense layers with ReLU between, each token by itself.
 * - `lstm`: a bidirectional LSTM over the tokens, unrolled, then two dense layers.
 *
 * Source: P-tuning, Liu et al. 2021, arXiv 2103.10385, section 3.2. Deviations: the start is added,
 * e has the encoder's width, the LSTM has one layer.
 */
import {
  add,
  concat,
  type Engine,
  type Executable,
  emitProgram,
  float32,
  floats,
  grad,
  input,
  matmul,
  mul,
  type Parameters,
  reduceSum,
  relu,
  sigmoid,
  slice,
  split,
  type Tensor,
  tanh,
} from '../tensor/index.ts';
import type { Rng } from '../util/rng.ts';
import type { Encoder } from './descent.ts';

export type EncoderKind = 'mlp' | 'lstm';

interface EncoderSizes {
  /** P. */
  readonly virtualTokens: number;
  /** D. */
  readonly width: number;
  /** H, even. */
  readonly inner: number;
}

type Shapes = Readonly<Record<string, readonly number[]>>;
type Leaves = Readonly<Record<string, Tensor>>;

/** A fresh encoder around `start` [P, D]. */
export async function createEncoder(
  kind: EncoderKind,
  start: Float32Array<ArrayBuffer>,
  { engine, rng, ...sizes }: EncoderSizes & { engine: Engine; rng: Rng },
): Promise<{ encoder: Encoder; parameters: Parameters }> {
  const shapes = kind === 'mlp' ? mlpShapes(sizes) : lstmShapes(sizes);
  const leaves = Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, input(name, shape)]),
  );
  const inner = kind === 'mlp' ? relu(dense(leaves.e!, leaves, '1')) : lstm(leaves, sizes);
  const size = [sizes.virtualTokens, sizes.width];
  const virtual = add(
    input('start', size),
    dense(relu(dense(inner, leaves, '2')), leaves, '3'), // [P, D]
  );
  const names = Object.keys(shapes);
  // Σ virtual∘d has the gradients that d pulls back.
  const pulled = grad(reduceSum(mul(virtual, input('d', size))), Object.values(leaves));
  const programs: Executable[] = [
    await engine.load(emitProgram({ virtual })),
    await engine.load(emitProgram(Object.fromEntries(pulled.map((g, i) => [`d.${names[i]}`, g])))),
  ];
  const run = (program: Executable, values: Parameters) => {
    const feeds = program.program.inputs.map(({ name, shape }) => [
      name,
      float32(values[name]!, shape as number[]),
    ]);
    return program.run(Object.fromEntries(feeds));
  };
  return {
    parameters: fresh(shapes, rng),
    encoder: {
      async encode(parameters) {
        const out = await run(programs[0]!, { ...parameters, start });
        return { virtual: floats(out.virtual) };
      },
      async pullBack(parameters, gradients) {
        const out = await run(programs[1]!, { ...parameters, start, d: gradients.virtual! });
        return Object.fromEntries(names.map((name) => [name, floats(out[`d.${name}`])]));
      },
      async close() {
        for (const program of programs) await program.unload();
      },
    },
  };
}

function mlpShapes({ virtualTokens: P, width: D, inner: H }: EncoderSizes): Shapes {
  return { e: [P, H], w1: [H, H], b1: [H], w2: [H, H], b2: [H], w3: [H, D], b3: [D] };
}

/** Gates side by side: input, forget, cell, output. */
function lstmShapes({ virtualTokens: P, width: D, inner: H }: EncoderSizes): Shapes {
  const h = H / 2;
  const direction = (d: string) => ({
    [`x.${d}`]: [H, 4 * h],
    [`h.${d}`]: [h, 4 * h],
    [`g.${d}`]: [4 * h],
  });
  return {
    e: [P, H],
    ...direction('right'),
    ...direction('left'),
    w2: [H, H],
    b2: [H],
    w3: [H, D],
    b3: [D],
  };
}

function dense(x: Tensor, leaves: Leaves, layer: string): Tensor {
  return add(matmul(x, leaves[`w${layer}`]!), leaves[`b${layer}`]!);
}

/** States [P, H] of both directions side by side. */
function lstm(leaves: Leaves, { virtualTokens: P, inner: H }: EncoderSizes): Tensor {
  const tokens = split(leaves.e!, Array(P).fill(1), 0); // [1, H] each
  const right = direction(tokens, leaves, { d: 'right', h: H / 2 });
  const left = direction([...tokens].reverse(), leaves, { d: 'left', h: H / 2 }).reverse();
  return concat(
    right.map((state, t) => concat([state, left[t]!], 1)),
    0,
  );
}

/** c ← σ(f)∘c + σ(i)∘tanh(g), h ← σ(o)∘tanh(c), from zero. */
function direction(
  tokens: readonly Tensor[],
  leaves: Leaves,
  { d, h }: { d: string; h: number },
): Tensor[] {
  const states: Tensor[] = [];
  let cell: Tensor | undefined;
  for (const x of tokens) {
    let gates = add(matmul(x, leaves[`x.${d}`]!), leaves[`g.${d}`]!); // [1, 4h]
    const before = states.at(-1);
    if (before) gates = add(gates, matmul(before, leaves[`h.${d}`]!));
    const [i, f, g, o] = [0, 1, 2, 3].map((k) => slice(gates, 1, k * h, (k + 1) * h));
    const written = mul(sigmoid(i!), tanh(g!));
    cell = cell ? add(mul(sigmoid(f!), cell), written) : written;
    states.push(mul(sigmoid(o!), tanh(cell)));
  }
  return states;
}

/** Uniform in ±1/√in, e standard normal, biases zero, and so is the last matrix. */
function fresh(shapes: Shapes, rng: Rng): Parameters {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      if (name === 'w3' || shape.length === 1) return [name, values];
      if (name === 'e') return [name, values.map(() => rng.normal())];
      const bound = 1 / Math.sqrt(shape[0]!);
      return [name, values.map(() => (2 * rng.next() - 1) * bound)];
    }),
  );
}
