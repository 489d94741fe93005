/**
 * The loss of soft Q-learning, and what is watched beside it. Logits are soft Q-values, and
 * V = logsumexp(Q), A = Q − V = log π. A bar marks the target adapter; no gradient flows through it.
 *
 *   single step:  L2_t = (A_t − [V̄_{t+1} − V̄_t])², and at the end (A_T − [r − V̄_T])²
 *   multi step:   L3_t = (Σ_{l≥t} A_l − [r − V̄_t])²
 *   loss:         mean over prompts of Σ_t ½(L2_t + L3_t), without bootstrapping of Σ_t L3_t
 *
 * Source: Guo et al. 2021, arXiv 2106.07704, equations 7–10. V̄_{t+1} in L2 is the bootstrapping: an
 * estimate taken as the aim of another. V̄_t in L3 is the state's own value, lagged.
 */
import {
  abs,
  add,
  concat,
  constant,
  div,
  exp,
  logSumExp,
  matmul,
  mul,
  reduceMax,
  reduceMean,
  reduceSum,
  reshape,
  slice,
  square,
  sub,
  type Tensor,
  takeAlong,
} from '../tensor/index.ts';

export interface Paths {
  /** Indices of the actions taken [B·T, 1]. */
  readonly actions: Tensor;
  /** Log-probabilities under which they were drawn [B·T]. */
  readonly sampledLogProbs: Tensor;
  /** Shaped rewards r [B]. */
  readonly signals: Tensor;
  /** Tokens T of a prompt. */
  readonly tokens: number;
  readonly bootstrap: boolean;
}

/** Scalars by name, from Q-values [B·T, A] of the online and the target adapter. */
export function pathConsistency(online: Tensor, target: Tensor, paths: Paths) {
  const { tokens: T, signals } = paths;
  const [N, B] = [paths.actions.shape[0]!, signals.shape[0]!];
  const r = reshape(signals, [B, 1]);
  // N = B·T: the reshape to rows of T is worked out at run time.
  const rows = (x: Tensor) => reshape(reshape(x, [N]), [B, T], true);
  const at = takeAlong(online, paths.actions); // [N, 1]
  const v = logSumExp(online, [-1], true); // [N, 1]
  const advantage = rows(sub(at, v)); // A_t = log π(a_t)
  const vBar = rows(logSumExp(target, [-1], true));
  const later = new Float32Array(T * T); // later[l][t] = 1 where l ≥ t
  for (let l = 0; l < T; l++) for (let t = 0; t <= l; t++) later[l * T + t] = 1;
  const path = matmul(advantage, constant(later, [T, T])); // Σ_{l≥t} A_l
  const multi = square(sub(path, sub(r, vBar)));
  const next = T > 1 ? concat([slice(vBar, 1, 1, T), r], 1) : r;
  const single = square(sub(advantage, sub(next, vBar)));
  const perToken = paths.bootstrap ? mul(constant(0.5), add(single, multi)) : multi;
  const start = slice(rows(v), 1, 0, 1); // V_1 [B, 1]
  const whole = slice(path, 1, 0, 1); // log π of the prompt [B, 1]
  const off = sub(advantage, rows(paths.sampledLogProbs));
  return {
    loss: reduceMean(reduceSum(perToken, [1])),
    qValue: reduceMean(at),
    qAbsMean: reduceMean(abs(online)),
    qAbsMax: reduceMax(abs(online)),
    stateValue: reduceMean(v),
    targetDrift: reduceMean(square(sub(rows(v), vBar))),
    startValue: reduceMean(start),
    valueGap: reduceMean(sub(start, sub(r, whole))),
    offPolicy: reduceMean(abs(off)),
    effectiveShare: effectiveShare(reduceSum(off, [1], true)),
  };
}

/** (mean w)² / mean w² of w = exp(x) [B, 1]: 1 when all weights are alike, 1/B when one has all. */
function effectiveShare(x: Tensor): Tensor {
  const w = exp(sub(x, reduceMax(x, [0], true)));
  return div(square(reduceMean(w)), reduceMean(square(w)));
}
