/**
 * The policy: a frozen LM reads a context and the tokens so far; a trained adapter turns its hidden
 * state into logits over the action space. Only the adapter learns, so hidden states are computed
 * once per sampled prompt and used again in every update.
 *
 * Adapter (RLPrompt): logits = E · (W₂ relu(W₁ h + b₁) + b₂), E the LM's own embedding rows of the
 * actions. Both matrices start near zero, so the policy starts near uniform; with `prior` the LM's
 * own log-probabilities are added and it starts from the LM's language instead.
 *
 * Source: Deng et al. 2022, arXiv 2205.12548, section 3.2 and appendix.
 */
import { ConfigError } from '../errors.ts';
import type { LanguageModel } from '../models/language-model.ts';
import {
  type Brancher,
  loadBrancher,
  loadPrefiller,
  type PrefixCache,
} from '../models/programs.ts';
import {
  add,
  constant,
  type Executable,
  float32,
  floats,
  gather,
  grad,
  type HostTensor,
  input,
  integers,
  logSoftmax,
  matmul,
  mul,
  type Parameters,
  relu,
  type Tensor,
} from '../tensor/index.ts';
import type { Rng } from '../util/rng.ts';
import type { ActionSpace } from './action-space.ts';
import { sampleAction } from './sampling.ts';

export interface PolicyOptions {
  /** Width of the adapter's hidden layer. @default 2048 (RLPrompt) */
  readonly adapterWidth?: number;
  /** Weight of the LM's own log-probabilities: 0 starts near uniform. @default 0 */
  readonly prior?: number;
  readonly rng: Rng;
}

/** One prompt written to the end. */
export interface Episode {
  /** Vocabulary ids of the prompt. */
  readonly ids: readonly number[];
  /** Indices into the action space, one per token. */
  readonly actions: readonly number[];
  /** Hidden states [T, D] in which the actions were taken. */
  readonly states: Float32Array<ArrayBuffer>;
  /** Mean entropy of the policy over its steps, in nats. */
  readonly entropy: number;
  /** Sum of log-probabilities of the actions under the untruncated policy. */
  readonly logProb: number;
}

/** Tokens that are set and tokens that the policy chooses. */
export interface Plan {
  readonly actions: readonly number[];
  readonly isFree: readonly boolean[];
}

export interface SampleOptions {
  readonly count: number;
  readonly tokens: number;
  readonly temperature: number;
  /** Actions to choose among; 0 means all. */
  readonly topK: number;
  readonly rng: Rng;
  /** For the first of the `count` prompts; the others are written freely. */
  readonly plans?: readonly Plan[];
}

/** Hidden states kept: 20,000 of width 576 are 46 MB. */
const STATES_KEPT = 20_000;

export class Policy {
  readonly lm: LanguageModel;
  readonly actions: ActionSpace;
  parameters: Parameters;
  private readonly parts: Parts;
  private readonly states = new Map<string, Float32Array>();

  private constructor(
    lm: LanguageModel,
    actions: ActionSpace,
    parameters: Parameters,
    parts: Parts,
  ) {
    this.lm = lm;
    this.actions = actions;
    this.parameters = parameters;
    this.parts = parts;
  }

  /** A fresh policy that reads `context` before it writes. */
  static async create(
    lm: LanguageModel,
    actions: ActionSpace,
    context: string,
    { adapterWidth = 2048, prior = 0, rng }: PolicyOptions,
  ): Promise<Policy> {
    const D = lm.config.width;
    const w = await lm.weights();
    const head = w.get(lm.config.hasTiedHead ? 'embedding' : 'head');
    const table = gather(head, integers(actions.ids)); // [A, D]
    const shapes = { w1: [D, adapterWidth], b1: [adapterWidth], w2: [adapterWidth, D], b2: [D] };
    const build = (h: Tensor, prefix = ''): Adapter => {
      const leaves = Object.fromEntries(
        Object.entries(shapes).map(([name, shape]) => [name, input(prefix + name, shape)]),
      );
      const inner = relu(add(matmul(h, leaves.w1!), leaves.b1!));
      const out = add(matmul(inner, leaves.w2!), leaves.b2!);
      const scored = matmul(out, table, { transB: true }); // [N, A]
      if (prior === 0) return { logits: scored, leaves };
      // As log-probabilities, so that the soft value of a fresh policy is 0 with a prior of 1.
      const own = logSoftmax(matmul(h, table, { transB: true }));
      return { logits: add(scored, mul(own, constant(prior))), leaves };
    };
    const known = lm.tokenizer.encode(context, { addSpecialTokens: true });
    const { bos, eos } = lm.tokenizer.special;
    const ids = known.length > 0 ? known : [bos ?? eos ?? 0];
    const prefiller = await loadPrefiller(lm, { prepack: false });
    const cache = await prefiller.run([ids]);
    await prefiller.unload();
    return new Policy(lm, actions, initialParameters(shapes, rng), {
      shapes,
      build,
      // The last token of the context is read again as the first of every branch.
      context: { ...cache, lengths: [ids.length - 1] },
      last: ids.at(-1)!,
      brancher: await loadBrancher(lm, 'hidden', { precision: 'int8' }),
      program: await lm.load({ logits: build(input('h', ['N', D])).logits }),
    });
  }

  /** Writes prompts by sampling; states are kept for learning. */
  async sample({ count, tokens, plans = [], ...sampling }: SampleOptions): Promise<Episode[]> {
    const D = this.lm.config.width;
    const A = this.actions.ids.length;
    const length = this.parts.context.lengths[0]! + 1 + tokens;
    if (length > this.lm.config.contextLength) {
      throw new ConfigError(
        `method.promptTokens: with its context and ${tokens} prompt tokens the policy LM ${this.lm.name} would read ${length}, it reads at most ${this.lm.config.contextLength}`,
      );
    }
    const written = Array.from({ length: count }, () => ({
      ids: [] as number[],
      actions: [] as number[],
      states: new Float32Array(tokens * D),
      entropy: 0,
      logProb: 0,
    }));
    for (let t = 0; t < tokens; t++) {
      const states = await this.statesAfter(written.map(({ ids }) => ids)); // [count, D]
      const logits = await this.logits(states);
      written.forEach((episode, i) => {
        const row = logits.subarray(i * A, (i + 1) * A);
        const drawn = sampleAction(row, sampling, sampling.rng);
        const { logProb, entropy } = drawn;
        const action = plans[i]?.isFree[t] === false ? plans[i].actions[t]! : drawn.action;
        episode.states.set(states.subarray(i * D, (i + 1) * D), t * D);
        episode.actions.push(action);
        episode.ids.push(this.actions.ids[action]!);
        episode.entropy += entropy / tokens;
        episode.logProb += logProb;
      });
    }
    return written;
  }

  /** The greedy prompt: at every step the action with the highest logit. */
  async greedy(tokens: number): Promise<number[]> {
    const ids: number[] = [];
    for (let t = 0; t < tokens; t++) {
      const logits = await this.logits(await this.statesAfter([ids]));
      let best = 0;
      for (let a = 1; a < logits.length; a++) if (logits[a]! > logits[best]!) best = a;
      ids.push(this.actions.ids[best]!);
    }
    return ids;
  }

  /** Adapter logits [N, A] of states [N, D]. */
  async logits(states: Float32Array<ArrayBuffer>): Promise<Float32Array<ArrayBuffer>> {
    const D = this.lm.config.width;
    const out = await this.parts.program.run({
      h: float32(states, [states.length / D, D]),
      ...this.feeds(this.parameters),
    });
    return floats(out.logits);
  }

  /**
   * Compiles a loss over the adapter's logits [N, A] (and those of a target adapter, if asked for)
   * into a program that also gives the gradients.
   */
  async learner(
    loss: (logits: Tensor, target: Tensor) => Readonly<Record<string, Tensor>> & { loss: Tensor },
  ): Promise<Learner> {
    const D = this.lm.config.width;
    const h = input('h', ['N', D]);
    const online = this.parts.build(h);
    const outputs = loss(online.logits, this.parts.build(h, 'target.').logits);
    const names = Object.keys(online.leaves);
    const gradients = grad(outputs.loss, Object.values(online.leaves));
    const program = await this.lm.load({
      ...outputs,
      ...Object.fromEntries(names.map((name, i) => [`d.${name}`, gradients[i]!])),
    });
    const needed = new Set(program.program.inputs.map(({ name }) => name));
    return {
      run: async (states, extra, target) => {
        const given = {
          h: float32(states, [states.length / D, D]),
          ...extra,
          ...this.feeds(this.parameters),
          ...this.feeds(target ?? this.parameters, 'target.'),
        };
        const used = Object.entries(given).filter(([name]) => needed.has(name));
        const out = await program.run(Object.fromEntries(used));
        return {
          quantities: Object.fromEntries(
            Object.keys(outputs).map((name) => [name, floats(out[name])[0]!]),
          ),
          gradients: Object.fromEntries(names.map((name) => [name, floats(out[`d.${name}`])])),
        };
      },
      unload: () => program.unload(),
    };
  }

  async close(): Promise<void> {
    await this.lm.engine.drop(Object.values(this.parts.context.tensors));
    await this.parts.brancher.unload();
    await this.parts.program.unload();
  }

  /**
   * Hidden states [N, D] after the context and each of N beginnings. The LM is frozen, so a state
   * is computed once for each beginning.
   */
  private async statesAfter(
    beginnings: readonly (readonly number[])[],
  ): Promise<Float32Array<ArrayBuffer>> {
    const { brancher, context, last } = this.parts;
    const D = this.lm.config.width;
    const keys = beginnings.map((ids) => ids.join(' '));
    const missing = new Map<string, readonly number[]>();
    keys.forEach((key, i) => {
      if (!this.states.has(key)) missing.set(key, beginnings[i]!);
    });
    if (missing.size > 0) {
      const computed = await brancher.run(
        context,
        [...missing.values()].map((ids) => [last, ...ids]),
      );
      [...missing.keys()].forEach((key, i) => {
        this.states.set(key, computed.slice(i * D, (i + 1) * D));
      });
    }
    const out = new Float32Array(beginnings.length * D);
    keys.forEach((key, i) => {
      out.set(this.states.get(key)!, i * D);
    });
    // The oldest make room; those in hand have just been copied.
    for (const key of this.states.keys()) {
      if (this.states.size <= STATES_KEPT) break;
      this.states.delete(key);
    }
    return out;
  }

  private feeds(parameters: Parameters, prefix = ''): Record<string, HostTensor> {
    return Object.fromEntries(
      Object.entries(this.parts.shapes).map(([name, shape]) => [
        prefix + name,
        float32(parameters[name]!, shape),
      ]),
    );
  }
}

/** Runs a policy's loss: its scalars by name, and the gradients of the adapter. */
export interface Learner {
  run(
    states: Float32Array<ArrayBuffer>,
    extra: Readonly<Record<string, HostTensor>>,
    target?: Parameters,
  ): Promise<{ quantities: Record<string, number>; gradients: Parameters }>;
  unload(): Promise<void>;
}

interface Adapter {
  readonly logits: Tensor;
  readonly leaves: Readonly<Record<string, Tensor>>;
}

interface Parts {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly build: (h: Tensor, prefix?: string) => Adapter;
  readonly context: PrefixCache;
  readonly last: number;
  readonly brancher: Brancher;
  readonly program: Executable;
}

/** Xavier-uniform with gain 1e-4, biases −1e-4, as RLPrompt has it: logits start near zero. */
function initialParameters(shapes: Parts['shapes'], rng: Rng): Parameters {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      if (shape.length === 1) return [name, values.fill(-1e-4)];
      const bound = 1e-4 * Math.sqrt(6 / (shape[0]! + shape[1]!));
      return [name, values.map(() => (2 * rng.next() - 1) * bound)];
    }),
  );
}
