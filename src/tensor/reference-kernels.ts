/**
 * What each op computes, in float64: one plain loop or formula an op, by the op's name. Integers and
 * booleans are held as float64 too (exact up to 2⁵³). Speed is no aim here.
 */
import { broadcast, type Shape } from './dims.ts';

/** Numbers in row-major order with their shape. */
export interface Value {
  readonly data: Float64Array;
  readonly shape: readonly number[];
}

/** An op's attributes as its kernel reads them, and the run-time sizes of a shape. */
export interface KernelContext {
  // biome-ignore lint/suspicious/noExplicitAny: each op has its own attributes, and its kernel knows them
  readonly attributes: any;
  sizes(shape: Shape): number[];
}

export type Kernel = (inputs: readonly Value[], context: KernelContext) => readonly Value[];

/** Kernels of all ops in the op table. */
export const kernels: Readonly<Record<string, Kernel>> = {
  add: elementwise((a, b) => a + b),
  sub: elementwise((a, b) => a - b),
  mul: elementwise((a, b) => a * b),
  div: elementwise((a, b) => a / b),
  maximum: elementwise(Math.max),
  minimum: elementwise(Math.min),
  greaterOrEqual: elementwise((a, b) => Number(a >= b)),
  equal: elementwise((a, b) => Number(a === b)),
  where: elementwise((condition, a, b) => (condition ? a : b)),
  neg: elementwise((x) => -x),
  abs: elementwise(Math.abs),
  exp: elementwise(Math.exp),
  log: elementwise(Math.log),
  sqrt: elementwise(Math.sqrt),
  tanh: elementwise(Math.tanh),
  sigmoid: elementwise(sigmoid),
  relu: elementwise((x) => Math.max(x, 0)),
  erf: elementwise(erf),
  softplus: elementwise((x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))),
  silu: ([x], { attributes: { alpha } }) => [map(x!, (v) => v * sigmoid(alpha * v))],
  gelu: ([x], { attributes: { approximate } }) => [
    map(x!, approximate === 'tanh' ? geluTanh : (v) => (v / 2) * (1 + erf(v * Math.SQRT1_2))),
  ],
  cast: ([x], { attributes: { to } }) => [
    map(x!, to === 'float32' ? (v) => v : to === 'bool' ? (v) => Number(v !== 0) : Math.trunc),
  ],
  stopGradient: ([x]) => [x!],
  after: ([x]) => [x!],
  recompute: (inputs) => [inputs.at(-1)!],

  reduceSum: reduction(total),
  reduceMean: reduction((values) => total(values) / values.length),
  reduceMax: reduction((values) => Math.max(...values)),
  logSumExp: reduction(logSumExp),
  softmax: ([x]) => [
    rows(x!, (row) => {
      const norm = logSumExp(row);
      return row.map((v) => Math.exp(v - norm));
    }),
  ],
  logSoftmax: ([x]) => [
    rows(x!, (row) => {
      const norm = logSumExp(row);
      return row.map((v) => v - norm);
    }),
  ],

  reshape: ([x], { attributes, sizes }) => [{ data: x!.data, shape: sizes(attributes.shape) }],
  transpose: ([x], { attributes: { order } }) => {
    const axes = order as number[];
    const shape = axes.map((axis) => x!.shape[axis]!);
    return [
      fill(shape, (at) => {
        const from: number[] = [];
        axes.forEach((axis, i) => {
          from[axis] = at[i]!;
        });
        return read(x!, from);
      }),
    ];
  },
  concat: (inputs, { attributes: { axis } }) => {
    const along = positive(axis, inputs[0]!);
    const owners = inputs.flatMap((x) =>
      Array.from({ length: x.shape[along]! }, (_, i) => ({ x, i })),
    );
    return [
      fill(withAxis(inputs[0]!.shape, along, owners.length), (at) => {
        const { x, i } = owners[at[along]!]!;
        return read(x, withAxis(at, along, i));
      }),
    ];
  },
  split: ([x], { attributes, sizes }) => {
    const along = positive(attributes.axis, x!);
    let offset = 0;
    return sizes(attributes.sizes).map((size) => {
      const start = offset;
      offset += size;
      return part(x!, along, [start, start + size]);
    });
  },
  slice: ([x], { attributes: { axis, start, end } }) => {
    const along = positive(axis, x!);
    const size = x!.shape[along]!;
    const from = start < 0 ? start + size : start;
    return [part(x!, along, [from, Math.max(from, Math.min(end < 0 ? end + size : end, size))])];
  },
  pad: ([x], { attributes: { axis, size, start }, sizes }) => {
    const [whole] = sizes([size]);
    const from = start < 0 ? start + whole! : start;
    return [
      fill(withAxis(x!.shape, axis, whole!), (at) => {
        const i = at[axis]! - from;
        return i >= 0 && i < x!.shape[axis]! ? read(x!, withAxis(at, axis, i)) : 0;
      }),
    ];
  },
  expand: ([x], { attributes, sizes }) => {
    const shape = sizes(attributes.shape);
    return [fill(shape, (at) => read(x!, fitted(at, x!.shape)))];
  },
  gather: ([x, indices]) => {
    const rank = indices!.shape.length;
    return [
      fill([...indices!.shape, ...x!.shape.slice(1)], (at) => {
        const row = wrap(read(indices!, at.slice(0, rank)), x!.shape[0]!);
        return read(x!, [row, ...at.slice(rank)]);
      }),
    ];
  },
  scatterAddRows: ([indices, values], { attributes, sizes }) => {
    const out = zeros(sizes(attributes.shape));
    const width = out.data.length / out.shape[0]!;
    indices!.data.forEach((row, i) => {
      const start = wrap(row, out.shape[0]!) * width;
      for (let j = 0; j < width; j++) out.data[start + j]! += values!.data[i * width + j]!;
    });
    return [out];
  },
  takeAlong: ([x, indices]) => [
    fill(indices!.shape, (at) => read(x!, [...at.slice(0, -1), lastIndex(indices!, at, x!.shape)])),
  ],
  scatterAlong: ([indices, values], { attributes, sizes }) => {
    const out = zeros(sizes(attributes.shape));
    for (const at of positions(indices!.shape)) {
      const to = [...at.slice(0, -1), lastIndex(indices!, at, out.shape)];
      out.data[offsetOf(out.shape, to)]! += read(values!, at);
    }
    return [out];
  },
  range: (_, { attributes, sizes }) => {
    const [size] = sizes([attributes.size]);
    return [fill([size!], ([i]) => i!)];
  },
  elementCount: (_, { attributes, sizes }) => [
    fill([], () => sizes(attributes.shape).reduce((a, b) => a * b, 1)),
  ],

  matmul: ([a, b], { attributes: { transA, transB, alpha } }) => {
    const [m, k] = lastTwo(a!.shape, transA);
    const [, n] = lastTwo(b!.shape, transB);
    const batch = broadcast(a!.shape.slice(0, -2), b!.shape.slice(0, -2), 'matmul') as number[];
    return [
      fill([...batch, m, n], (at) => {
        const [i, j] = at.slice(-2) as [number, number];
        const inA = fitted(at.slice(0, -2), a!.shape.slice(0, -2));
        const inB = fitted(at.slice(0, -2), b!.shape.slice(0, -2));
        let sum = 0;
        for (let l = 0; l < k; l++) {
          const left = read(a!, [...inA, ...(transA ? [l, i] : [i, l])]);
          sum += left * read(b!, [...inB, ...(transB ? [j, l] : [l, j])]);
        }
        return alpha * sum;
      }),
    ];
  },
  matmulOnto: ([a, b, c], context) => {
    const [product] = kernels.matmul!([a!, b!], context);
    return [fill(c!.shape, (at) => read(c!, at) + read(product!, at))];
  },
  // Values to 8 bits over the whole tensor, with a zero point.
  quantize: ([x]) => {
    const [low, high] = [Math.min(0, ...x!.data), Math.max(0, ...x!.data)];
    const step = (high - low) / 255 || 1;
    const zero = Math.round(-low / step);
    const levels = map(x!, (v) => Math.min(255, Math.max(0, Math.round(v / step) + zero)));
    const scalar = (v: number) => ({ data: Float64Array.of(v), shape: [] });
    return [levels, scalar(step), scalar(zero)];
  },
  blockMatmul: ([x, matrix, scales]) => {
    const [n, blocks, width] = matrix!.shape as [number, number, number];
    const k = x!.shape.at(-1)!;
    return [
      fill([...x!.shape.slice(0, -1), n], (at) => {
        const j = at.at(-1)!;
        let sum = 0;
        for (let l = 0; l < k; l++) {
          const block = Math.floor(l / width);
          const level = matrix!.data[(j * blocks + block) * width + (l % width)]! - 128;
          sum += read(x!, [...at.slice(0, -1), l]) * level * scales!.data[j * blocks + block]!;
        }
        return sum;
      }),
    ];
  },
  topK: ([x], { attributes: { k } }) => {
    const n = x!.shape.at(-1)!;
    const shape = [...x!.shape.slice(0, -1), k];
    const count = shape.reduce((a, b) => a * b, 1);
    const [values, indices] = [new Float64Array(count), new Float64Array(count)];
    for (let r = 0; r * n < x!.data.length; r++) {
      const row = [...x!.data.subarray(r * n, (r + 1) * n)].map((value, i) => ({ value, i }));
      row.sort((a, b) => b.value - a.value || a.i - b.i);
      for (let i = 0; i < k; i++) {
        values[r * k + i] = row[i]!.value;
        indices[r * k + i] = row[i]!.i;
      }
    }
    return [
      { data: values, shape },
      { data: indices, shape },
    ];
  },
  int8Matmul: ([levels, matrix, step, scales, zero]) => {
    const [k, n] = matrix!.shape as [number, number];
    return [
      fill([...levels!.shape.slice(0, -1), n], (at) => {
        const j = at.at(-1)!;
        let sum = 0;
        for (let l = 0; l < k; l++) {
          const level = read(levels!, [...at.slice(0, -1), l]) - zero!.data[0]!;
          sum += level * read(matrix!, [l, j]);
        }
        return sum * step!.data[0]! * scales!.data[j]!;
      }),
    ];
  },

  rmsNorm: ([x, gain], { attributes: { epsilon } }) => {
    const inverse = rows(x!, (row) => [1 / Math.sqrt(mean(row.map((v) => v * v)) + epsilon)]);
    return [combine([x!, inverse, gain!], (v, r, g) => v * r * g), inverse];
  },
  layerNorm: ([x, gain, bias], { attributes: { epsilon } }) => {
    const centre = rows(x!, (row) => [mean(row)]);
    const inverse = rows(x!, (row) => {
      const m = mean(row);
      return [1 / Math.sqrt(mean(row.map((v) => (v - m) ** 2)) + epsilon)];
    });
    const operands = [x!, centre, inverse, gain!, bias!];
    return [combine(operands, (v, m, s, g, b) => (v - m) * s * g + b), centre, inverse];
  },
  attention: ([q, k, v, mask, pastK, pastV], { attributes: { heads, kvHeads, scale } }) => {
    const [G, M, D] = q!.shape as [number, number, number];
    const d = D / heads;
    const L = pastK!.shape[2]!;
    const joined = (past: Value, own: Value) =>
      fill([G, kvHeads, L + M, d], ([b, h, l, i]) =>
        l! < L ? read(past, [b!, h!, l!, i!]) : read(own, [b!, l! - L, h! * d + i!]),
      );
    const [keys, values] = [joined(pastK!, k!), joined(pastV!, v!)];
    const weights = (b: number, m: number, h: number) => {
      const kv = Math.floor((h * kvHeads) / heads);
      const scores = Array.from({ length: L + M }, (_, l) => {
        let dot = 0;
        for (let i = 0; i < d; i++) dot += read(q!, [b, m, h * d + i]) * read(keys, [b, kv, l, i]);
        return scale * dot + read(mask!, [mask!.shape[0] === 1 ? 0 : b, 0, m, l]);
      });
      const norm = logSumExp(scores);
      return { kv, shares: scores.map((score) => Math.exp(score - norm)) };
    };
    const y = fill(q!.shape, ([b, m, column]) => {
      const { kv, shares } = weights(b!, m!, Math.floor(column! / d));
      return total(shares.map((share, l) => share * read(values, [b!, kv, l, column! % d])));
    });
    return [y, keys, values];
  },
  rotary: ([x, places, cos, sin], { attributes: { heads } }) => {
    const d = x!.shape[2]! / heads;
    return [
      fill(x!.shape, ([b, t, column]) => {
        const j = column! % d;
        const isFirst = j < d / 2;
        const angle = [read(places!, [b!, t!]), isFirst ? j : j - d / 2];
        const [c, s] = [read(cos!, angle), read(sin!, angle)];
        const other = read(x!, [b!, t!, column! + (isFirst ? d / 2 : -d / 2)]);
        return read(x!, [b!, t!, column!]) * c + (isFirst ? -other : other) * s;
      }),
    ];
  },
};

/** erf by its series of positive terms, 2/√π·e^(−x²)·Σ 2ⁿx^(2n+1)/(2n+1)!!: no cancellation. */
function erf(x: number): number {
  if (Math.abs(x) > 6) return Math.sign(x);
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > Math.abs(sum) * 1e-17; n++) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

function geluTanh(x: number): number {
  return (x / 2) * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (x + 0.044715 * x ** 3)));
}

function total(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

function mean(values: readonly number[]): number {
  return total(values) / values.length;
}

function logSumExp(values: readonly number[]): number {
  const top = Math.max(...values);
  return top + Math.log(total(values.map((v) => Math.exp(v - top))));
}

type Formula = (...values: [number, number, number, number, number]) => number;

function elementwise(f: Formula): Kernel {
  return (inputs) => [combine(inputs, f)];
}

/** A formula of up to five operands, broadcast against each other. */
function combine(inputs: readonly Value[], f: Formula): Value {
  const shape = inputs
    .map((x) => x.shape)
    .reduce((a, b) => broadcast(a, b, 'reference') as number[]);
  const g = f as (...values: number[]) => number;
  return fill(shape, (at) => g(...inputs.map((x) => read(x, fitted(at, x.shape)))));
}

function reduction(f: (values: readonly number[]) => number): Kernel {
  return ([x], { attributes: { axes, keepDims } }) => {
    const reduced = new Set((axes as number[]).map((axis) => positive(axis, x!)));
    const kept = x!.shape.map((size, i) => (reduced.has(i) ? 1 : size));
    const groups: number[][] = Array.from({ length: kept.reduce((a, b) => a * b, 1) }, () => []);
    for (const at of positions(x!.shape)) {
      groups[offsetOf(kept, fitted(at, kept))]!.push(read(x!, at));
    }
    const shape = keepDims ? kept : kept.filter((_, i) => !reduced.has(i));
    return [{ data: Float64Array.from(groups, f), shape }];
  };
}

function map(x: Value, f: (v: number) => number): Value {
  return { data: x.data.map((v) => f(v)), shape: x.shape };
}

/** Each row of the last axis by itself; rows of another length change that axis. */
function rows(x: Value, f: (row: number[]) => readonly number[]): Value {
  const width = x.shape.at(-1)!;
  const out: number[] = [];
  for (let i = 0; i < x.data.length; i += width) out.push(...f([...x.data.slice(i, i + width)]));
  const length = (out.length * width) / x.data.length;
  return { data: Float64Array.from(out), shape: [...x.shape.slice(0, -1), length] };
}

function part(x: Value, axis: number, [start, end]: readonly [number, number]): Value {
  return fill(withAxis(x.shape, axis, end - start), (at) =>
    read(x, withAxis(at, axis, at[axis]! + start)),
  );
}

function zeros(shape: readonly number[]): Value {
  return { data: new Float64Array(shape.reduce((a, b) => a * b, 1)), shape };
}

function fill(shape: readonly number[], f: (at: readonly number[]) => number): Value {
  return { data: Float64Array.from(positions(shape), f), shape };
}

/** All index tuples of a shape, the last axis fastest. */
function* positions(shape: readonly number[]): Generator<number[]> {
  const size = shape.reduce((a, b) => a * b, 1);
  for (let flat = 0; flat < size; flat++) {
    const at = new Array<number>(shape.length);
    for (let axis = shape.length - 1, rest = flat; axis >= 0; axis--) {
      at[axis] = rest % shape[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    yield at;
  }
}

function offsetOf(shape: readonly number[], at: readonly number[]): number {
  return at.reduce((offset, index, axis) => offset * shape[axis]! + index, 0);
}

function read(x: Value, at: readonly number[]): number {
  return x.data[offsetOf(x.shape, at)]!;
}

/** Where a broadcast position lies in an operand: leading axes dropped, axes of size 1 at 0. */
function fitted(at: readonly number[], shape: readonly number[]): number[] {
  return shape.map((size, i) => (size === 1 ? 0 : at[i + at.length - shape.length]!));
}

function withAxis(shape: readonly number[], axis: number, size: number): number[] {
  return shape.map((old, i) => (i === axis ? size : old));
}

function lastIndex(indices: Value, at: readonly number[], shape: readonly number[]): number {
  return wrap(read(indices, at), shape.at(-1)!);
}

function wrap(index: number, size: number): number {
  return index < 0 ? index + size : index;
}

function positive(axis: number, x: Value): number {
  return axis < 0 ? axis + x.shape.length : axis;
}

function lastTwo(shape: readonly number[], transposed: boolean): [number, number] {
  const [a, b] = shape.slice(-2) as [number, number];
  return transposed ? [b, a] : [a, b];
}
