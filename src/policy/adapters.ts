/**
 * What of a policy learns: a map from states [N, S] to logits over the action space [N, A].
 *
 * `mlp` (RLPrompt): logits = E · (W₂ relu(W₁ h + b₁) + b₂), E the LM's own embedding rows of the
 * actions and h its hidden state. Both matrices start near zero, so the policy starts near uniform;
 * with a prior the LM's own log-probabilities are added and it starts from the LM's language instead.
 *
 * `table`: one row of logits for each beginning of a prompt, so that nothing learnt in one state
 * changes another. No LM, no approximation: the yardstick for what approximation does.
 *
 * Source: Deng et al. 2022, arXiv 2205.12548, section 3.2 and appendix; Sutton & Barto, chapter 6.
 */
import { ConfigError } from '../errors.ts';
import {
  add,
  cast,
  constant,
  gather,
  logSoftmax,
  matmul,
  mul,
  type Parameters,
  relu,
  reshape,
  type Tensor,
} from '../tensor/index.ts';
import type { Rng } from '../util/rng.ts';

export interface Adapter {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  /** Logits [N, A] of states [N, S] under parameters by name. */
  logits(states: Tensor, parameters: Readonly<Record<string, Tensor>>): Tensor;
  initial(rng: Rng): Parameters;
}

/** Numbers in a table: 4 million are 16 MB, four times with target and Adam's moments. */
const TABLE_LIMIT = 4_000_000;

/** `rows` [A, D] are the LM's embedding rows of the actions, D the width of its hidden states. */
export function mlpAdapter(
  rows: Tensor,
  { D, width, prior }: { D: number; width: number; prior: number },
): Adapter {
  const shapes = { w1: [D, width], b1: [width], w2: [width, D], b2: [D] };
  return {
    shapes,
    logits(h, { w1, b1, w2, b2 }) {
      const inner = relu(add(matmul(h, w1!), b1!));
      const out = add(matmul(inner, w2!), b2!);
      const scored = matmul(out, rows, { transB: true }); // [N, A]
      if (prior === 0) return scored;
      // As log-probabilities, so that the soft value of a fresh policy is 0 with a prior of 1.
      const own = logSoftmax(matmul(h, rows, { transB: true }));
      return add(scored, mul(own, constant(prior)));
    },
    // Xavier-uniform with gain 1e-4, biases −1e-4, as RLPrompt has it: logits start near zero.
    initial: (rng) =>
      Object.fromEntries(
        Object.entries(shapes).map(([name, shape]) => {
          const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
          if (shape.length === 1) return [name, values.fill(-1e-4)];
          const bound = 1e-4 * Math.sqrt(6 / (shape[0]! + shape[1]!));
          return [name, values.map(() => (2 * rng.next() - 1) * bound)];
        }),
      ),
  };
}

/**
 * A table over all beginnings of prompts of `tokens` tokens out of `actions`; states are row numbers.
 * @throws ConfigError when that is more than a table can hold
 */
export function tableAdapter(actions: number, tokens: number): Adapter {
  const states = beginningsBefore(actions, tokens);
  if (states * actions > TABLE_LIMIT) {
    throw new ConfigError(
      `adapter table: ${actions} words and ${tokens} tokens make ${states} states of ${actions} logits, a table holds ${TABLE_LIMIT} numbers, set fewer words or tokens or take the mlp`,
    );
  }
  const shapes = { table: [states, actions] };
  return {
    shapes,
    logits: (states, { table }) =>
      gather(table!, cast(reshape(states, [states.shape[0]!]), 'int64')),
    initial: () => ({ table: new Float32Array(states * actions) }),
  };
}

/** Row of a beginning, given as indices into an action space of `actions`: shorter ones come first. */
export function rowOf(beginning: readonly number[], actions: number): number {
  const within = beginning.reduce((row, action) => row * actions + action, 0);
  return beginningsBefore(actions, beginning.length) + within;
}

/** How many beginnings are shorter than `length`: 1 + A + A² + … */
function beginningsBefore(actions: number, length: number): number {
  let [total, power] = [0, 1];
  for (let t = 0; t < length; t++, power *= actions) total += power;
  return total;
}
