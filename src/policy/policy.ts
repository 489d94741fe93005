/**
 * The policy: a frozen LM reads a context and the tokens so far; a trained adapter turns its hidden
 * state into logits over the action space. Only the adapter learns, so hidden states are computed
 * once per sampled prompt and used again in every update. `adapters.ts` has the adapters; with a
 * table in place of one, a state is a row number and the LM is not asked.
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
  type Executable,
  float32,
  floats,
  gather,
  type HostTensor,
  input,
  integers,
  loadLearner,
  type Parameters,
  type Tensor,
} from '../tensor/index.ts';
import type { Rng } from '../util/rng.ts';
import type { ActionSpace } from './action-space.ts';
import { type Adapter, mlpAdapter, rowOf, tableAdapter } from './adapters.ts';
import { contextIds } from './context.ts';
import { sampleAction } from './sampling.ts';

export interface PolicyOptions {
  /** Width of the adapter's hidden layer. @default 2048 (RLPrompt) */
  readonly adapterWidth?: number;
  /** Weight of the LM's own log-probabilities: 0 starts near uniform. @default 0 */
  readonly prior?: number;
  /** Only the first so many actions, in a BPE vocabulary the commonest words; 0: all. @default 0 */
  readonly words?: number;
  /** A table over all beginnings of prompts of so many tokens in place of the adapter. */
  readonly table?: { readonly tokens: number } | undefined;
  readonly rng: Rng;
}

/** One prompt written to the end. */
export interface Episode {
  /** Vocabulary ids of the prompt. */
  readonly ids: readonly number[];
  /** Indices into the action space, one per token; 0 for one that was set and is not in it. */
  readonly actions: readonly number[];
  /** States [T, S] in which the actions were taken: hidden states, or rows of a table. */
  readonly states: Float32Array<ArrayBuffer>;
  /** Log-probability of each action under the distribution that it was drawn from. */
  readonly sampledLogProbs: readonly number[];
  /** Mean entropy of the policy over its steps, in nats. */
  readonly entropy: number;
  /** Sum of log-probabilities of the actions under the untruncated policy. */
  readonly logProb: number;
}

/** Tokens that are set, of the whole vocabulary, and tokens that the policy chooses. */
export interface Plan {
  readonly ids: readonly number[];
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
  /** Index into the action space by vocabulary id. */
  private readonly actionOf: ReadonlyMap<number, number>;

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
    this.actionOf = new Map(actions.ids.map((id, action) => [id, action]));
  }

  /** Whether it could have written all of these ids itself. */
  canWrite(ids: readonly number[]): boolean {
    return ids.every((id) => this.actionOf.has(id));
  }

  /** A fresh policy that reads `context` before it writes. */
  static async create(
    lm: LanguageModel,
    actions: ActionSpace,
    context: string,
    { adapterWidth = 2048, prior = 0, words = 0, table, rng }: PolicyOptions,
  ): Promise<Policy> {
    const space = words > 0 ? { ids: actions.ids.slice(0, words) } : actions;
    if (table && prior !== 0) {
      throw new ConfigError(
        `adapter table: it has no LM to take a prior of ${prior} from, set prior to 0`,
      );
    }
    const D = lm.config.width;
    const adapter = table
      ? tableAdapter(space.ids.length, table.tokens)
      : mlpAdapter(gather(await headOf(lm), integers(space.ids)), {
          D,
          width: adapterWidth,
          prior,
        });
    const stateWidth = table ? 1 : D;
    const logits = build(adapter, input('h', ['N', stateWidth])).logits;
    return new Policy(lm, space, adapter.initial(rng), {
      adapter,
      stateWidth,
      program: await lm.load({ logits }),
      ...(table ? {} : { reader: await readContext(lm, context) }),
    });
  }

  /** Numbers that describe a state. */
  get stateWidth(): number {
    return this.parts.stateWidth;
  }

  /** Writes prompts by sampling; states are kept for learning. */
  async sample({ count, tokens, plans = [], ...sampling }: SampleOptions): Promise<Episode[]> {
    const S = this.stateWidth;
    const A = this.actions.ids.length;
    const length = (this.parts.reader?.context.lengths[0] ?? 0) + 1 + tokens;
    if (length > this.lm.config.contextLength) {
      throw new ConfigError(
        `method.promptTokens: with its context and ${tokens} prompt tokens the policy LM ${this.lm.name} would read ${length}, it reads at most ${this.lm.config.contextLength}`,
      );
    }
    const written = Array.from({ length: count }, () => ({
      ids: [] as number[],
      actions: [] as number[],
      states: new Float32Array(tokens * S),
      sampledLogProbs: [] as number[],
      entropy: 0,
      logProb: 0,
    }));
    for (let t = 0; t < tokens; t++) {
      const states = await this.statesAfter(written.map(({ ids }) => ids)); // [count, S]
      const logits = await this.logits(states);
      written.forEach((episode, i) => {
        const row = logits.subarray(i * A, (i + 1) * A);
        const drawn = sampleAction(row, sampling, sampling.rng);
        const { logProb, entropy } = drawn;
        const set = plans[i]?.isFree[t] === false ? plans[i].ids[t]! : undefined;
        const action = set === undefined ? drawn.action : (this.actionOf.get(set) ?? 0);
        episode.states.set(states.subarray(i * S, (i + 1) * S), t * S);
        episode.actions.push(action);
        episode.sampledLogProbs.push(drawn.sampledLogProb);
        episode.ids.push(set ?? this.actions.ids[action]!);
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

  /** Adapter logits [N, A] of states [N, S]. */
  async logits(states: Float32Array<ArrayBuffer>): Promise<Float32Array<ArrayBuffer>> {
    const S = this.stateWidth;
    const out = await this.parts.program.run({
      h: float32(states, [states.length / S, S]),
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
  ): Promise<PolicyLearner> {
    const S = this.stateWidth;
    const h = input('h', ['N', S]);
    const online = build(this.parts.adapter, h);
    const quantities = loss(online.logits, build(this.parts.adapter, h, 'target.').logits);
    const parameters = Object.values(online.leaves);
    const { engine, folder } = this.lm;
    const learner = await loadLearner(engine, { quantities, parameters, folder });
    return {
      run: (states, extra, target = this.parameters) =>
        learner.run(this.parameters, {
          h: float32(states, [states.length / S, S]),
          ...extra,
          ...this.feeds(target, 'target.'),
        }),
      unload: () => learner.unload(),
    };
  }

  /**
   * Forgets hidden states; they are computed again when needed. What a batch gives hangs in its last
   * bits on what else is in it, so that a policy which is to go on exactly elsewhere begins with none.
   */
  forget(): void {
    this.states.clear();
  }

  async close(): Promise<void> {
    const { reader, program } = this.parts;
    if (reader) {
      await this.lm.engine.drop(Object.values(reader.context.tensors));
      await reader.brancher.unload();
    }
    await program.unload();
  }

  /**
   * States [N, S] after the context and each of N beginnings. The LM is frozen, so a hidden state is
   * computed once for each beginning.
   */
  private async statesAfter(
    beginnings: readonly (readonly number[])[],
  ): Promise<Float32Array<ArrayBuffer>> {
    const { reader } = this.parts;
    if (!reader) return Float32Array.from(beginnings, (ids) => this.rowAfter(ids));
    const { brancher, context, last } = reader;
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

  private rowAfter(ids: readonly number[]): number {
    const beginning = ids.map((id) => this.actionOf.get(id)!);
    return rowOf(beginning, this.actions.ids.length);
  }

  private feeds(parameters: Parameters, prefix = ''): Record<string, HostTensor> {
    return Object.fromEntries(
      Object.entries(this.parts.adapter.shapes).map(([name, shape]) => [
        prefix + name,
        float32(parameters[name]!, shape),
      ]),
    );
  }
}

/** Runs a policy's loss: its scalars by name, and the gradients of the adapter. */
export interface PolicyLearner {
  run(
    states: Float32Array<ArrayBuffer>,
    extra: Readonly<Record<string, HostTensor>>,
    target?: Parameters,
  ): Promise<{ quantities: Record<string, number>; gradients: Parameters }>;
  unload(): Promise<void>;
}

interface Parts {
  readonly adapter: Adapter;
  readonly stateWidth: number;
  readonly program: Executable;
  /** Absent with a table. */
  readonly reader?: Reader;
}

/** The LM after the policy's context, ready to read beginnings of prompts. */
interface Reader {
  readonly context: PrefixCache;
  readonly last: number;
  readonly brancher: Brancher;
}

async function readContext(lm: LanguageModel, context: string): Promise<Reader> {
  const ids = contextIds(lm, context);
  const prefiller = await loadPrefiller(lm, { prepack: false });
  const cache = await prefiller.run([ids]);
  await prefiller.unload();
  return {
    // The last token of the context is read again as the first of every branch.
    context: { ...cache, lengths: [ids.length - 1] },
    last: ids.at(-1)!,
    brancher: await loadBrancher(lm, 'hidden', { precision: 'int8' }),
  };
}

/** The rows of the LM's head [V, D]. */
async function headOf(lm: LanguageModel): Promise<Tensor> {
  const w = await lm.weights();
  return w.get(lm.config.hasTiedHead ? 'embedding' : 'head');
}

/** An adapter's logits, and its parameters as inputs whose names begin with `prefix`. */
function build(adapter: Adapter, states: Tensor, prefix = '') {
  const leaves = Object.fromEntries(
    Object.entries(adapter.shapes).map(([name, shape]) => [name, input(prefix + name, shape)]),
  );
  return { logits: adapter.logits(states, leaves), leaves };
}
