/**
 * Multinomial logistic regression: p(y | x) = softmax(W x + b), fitted to mean cross-entropy plus
 * λ/2 ‖W‖² by Nesterov's accelerated gradient. Features are centred and brought to a mean squared
 * length of 1, which bounds the curvature by 1/2 + λ (Böhning 1992), so the step needs no tuning.
 */

export interface LinearClassifier {
  /** W [C, D], for features as they were given. */
  readonly weights: Float32Array<ArrayBuffer>;
  /** b [C]. */
  readonly biases: Float32Array<ArrayBuffer>;
}

export interface LogisticOptions {
  /** C, number of classes. */
  readonly classes: number;
  /** λ. @default 1e-3 */
  readonly penalty?: number;
  /** @default 500 */
  readonly steps?: number;
}

/** Fits features [N, D] to labels [N]. */
export function fitLogistic(
  features: Float32Array,
  labels: readonly number[],
  { classes: C, penalty = 1e-3, steps = 500 }: LogisticOptions,
): LinearClassifier {
  const N = labels.length;
  const D = features.length / N;
  const { x, mean, scale } = normalised(features, N, D);
  const width = D + 1; // the last column holds the bias
  let w = new Float64Array(C * width);
  let ahead = w;
  for (let step = 1; step <= steps; step++) {
    const slope = gradient(x, labels, { w: ahead, C, D, penalty });
    const next = ahead.map((value, i) => value - slope[i]! / (0.5 + penalty));
    const momentum = (step - 1) / (step + 2);
    const last = w;
    ahead = next.map((value, i) => value + momentum * (value - last[i]!));
    w = next;
  }
  const weights = new Float32Array(C * D);
  const biases = new Float32Array(C);
  for (let c = 0; c < C; c++) {
    let bias = w[c * width + D]!;
    for (let d = 0; d < D; d++) {
      const value = w[c * width + d]! / scale;
      weights[c * D + d] = value;
      bias -= value * mean[d]!;
    }
    biases[c] = bias;
  }
  return { weights, biases };
}

/** Logits [N, C] of features [N, D]. */
export function classify({ weights, biases }: LinearClassifier, features: Float32Array) {
  const C = biases.length;
  const D = weights.length / C;
  const N = features.length / D;
  const out = new Float32Array(N * C);
  for (let n = 0; n < N; n++) {
    for (let c = 0; c < C; c++) {
      let z = biases[c]!;
      for (let d = 0; d < D; d++) z += weights[c * D + d]! * features[n * D + d]!;
      out[n * C + c] = z;
    }
  }
  return out;
}

function normalised(features: Float32Array, N: number, D: number) {
  const mean = new Float64Array(D);
  for (let i = 0; i < features.length; i++) mean[i % D]! += features[i]! / N;
  let square = 0;
  const x = Float64Array.from(features, (value, i) => {
    const centred = value - mean[i % D]!;
    square += (centred * centred) / N;
    return centred;
  });
  const scale = Math.sqrt(square) || 1;
  return { x: x.map((value) => value / scale), mean, scale };
}

/** Gradient [C, D + 1] of the objective. */
function gradient(
  x: Float64Array,
  labels: readonly number[],
  { w, C, D, penalty }: { w: Float64Array; C: number; D: number; penalty: number },
): Float64Array {
  const N = labels.length;
  const width = D + 1;
  const out = w.map((value, i) => (i % width === D ? 0 : penalty * value));
  const p = new Float64Array(C);
  for (let n = 0; n < N; n++) {
    const row = n * D;
    let max = -Infinity;
    for (let c = 0; c < C; c++) {
      let z = w[c * width + D]!;
      for (let d = 0; d < D; d++) z += w[c * width + d]! * x[row + d]!;
      p[c] = z;
      max = Math.max(max, z);
    }
    let total = 0;
    for (let c = 0; c < C; c++) {
      p[c] = Math.exp(p[c]! - max);
      total += p[c]!;
    }
    for (let c = 0; c < C; c++) {
      const error = (p[c]! / total - (c === labels[n] ? 1 : 0)) / N;
      for (let d = 0; d < D; d++) out[c * width + d]! += error * x[row + d]!;
      out[c * width + D]! += error;
    }
  }
  return out;
}
