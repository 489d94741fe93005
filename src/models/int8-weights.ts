/**
 * Linear layers in int8: [in, out], one symmetric scale a column. Activations are quantised at run
 * time with one scale for all rows, so channels that are large in every row would take precision
 * from the others. Smoothing moves their size into the matrix: x W = (x / s) (s W), with
 * s_j = max|x_j|^α / max|W_j|^(1 − α). Behind a norm, 1/s is folded into its gain and shift and costs
 * nothing; elsewhere it is stored as `NAME.smooth`.
 *
 * Source: Xiao et al. 2023, SmoothQuant, arXiv 2211.10438, equation 4.
 */
import type { WeightReader, WeightSpec } from './architecture.ts';
import { linearGroups } from './linear-groups.ts';
import type { PreparedTensor } from './prepared-weights.ts';

/** Share of a channel's size that goes to the matrix; 0.3 and 0.8 followed float32 less well. */
const ALPHA = 0.6;

/** Largest |x| of each input channel [in], by the name of the linear layer. */
export type Maxima = ReadonlyMap<string, Float32Array>;

/** The tensors of an int8 file, in order. */
export async function* int8Tensors(
  specs: readonly WeightSpec[],
  read: WeightReader,
  maxima: Maxima,
): AsyncGenerator<PreparedTensor> {
  const byName = new Map(specs.map((spec) => [spec.name, spec]));
  for (const { layers, norms } of linearGroups(specs)) {
    const matrices = [];
    for (const layer of layers) matrices.push(await layer.load(read));
    const width = layers[0]!.shape[1]!;
    const smooth = smoothing(maxima.get(layers[0]!.name), matrices, width);
    for (const [i, { name, shape }] of layers.entries()) {
      const scaled = matrices[i]!.map((x, at) => x * smooth[at % width]!);
      const { values, scales } = quantizeRows(scaled, shape[0]!, width);
      yield { name, dtype: 'int8', shape: [width, shape[0]!], data: values };
      yield { name: `${name}.scale`, dtype: 'float32', shape: [shape[0]!], data: scales };
    }
    for (const name of norms) {
      const values = await byName.get(name)!.load(read);
      const data = values.map((x, j) => x / smooth[j]!);
      yield { name, dtype: 'float32', shape: [width], data };
    }
    if (norms.length === 0) {
      const data = smooth.map((s) => 1 / s);
      yield { name: `${layers[0]!.name}.smooth`, dtype: 'float32', shape: [width], data };
    }
  }
}

/** Number of an int8 file's tensors: matrices, their scales, and what each group is smoothed by. */
export function int8TensorCount(specs: readonly WeightSpec[]): number {
  return linearGroups(specs).reduce(
    (sum, { layers, norms }) => sum + 2 * layers.length + Math.max(1, norms.length),
    0,
  );
}

/** s [in]; 1 where a channel is always zero. */
function smoothing(
  largest: Float32Array | undefined,
  matrices: readonly Float32Array[],
  width: number,
): Float32Array<ArrayBuffer> {
  const weights = new Float32Array(width);
  for (const matrix of matrices) {
    for (const [at, x] of matrix.entries()) {
      const j = at % width;
      if (Math.abs(x) > weights[j]!) weights[j] = Math.abs(x);
    }
  }
  return weights.map((w, j) => {
    const s = (largest?.[j] ?? 0) ** ALPHA / w ** (1 - ALPHA);
    return Number.isFinite(s) && s > 0 ? s : 1;
  });
}

/** Each row [in] of a matrix [out, in] to int8 with one scale, stored transposed as [in, out]. */
export function quantizeRows(
  data: Float32Array,
  rows: number,
  columns: number,
): { values: Int8Array<ArrayBuffer>; scales: Float32Array<ArrayBuffer> } {
  const values = new Int8Array(rows * columns);
  const scales = new Float32Array(rows);
  for (let r = 0; r < rows; r++) {
    let largest = 0;
    for (let c = 0; c < columns; c++) largest = Math.max(largest, Math.abs(data[r * columns + c]!));
    const scale = largest / 127 || 1;
    scales[r] = scale;
    for (let c = 0; c < columns; c++) {
      values[c * rows + r] = Math.round(data[r * columns + c]! / scale);
    }
  }
  return { values, scales };
}
