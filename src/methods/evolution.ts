/**
 * A genetic search over prompts: tournaments choose parents, crossover and mutation make children,
 * successive halving scores them, and the best of parents and children live on (μ + λ, so the best
 * is never lost). New genes are drawn uniformly or as the task LM would go on.
 *
 * Source: the plain genetic algorithm with (μ + λ) selection, as in Bäck, Fogel and Michalewicz,
 * Handbook of Evolutionary Computation, C2. Unlike EvoPrompt (arXiv 2309.08532) no LM is asked to
 * rewrite a prompt: the operators work on tokens or words.
 */
import { z } from 'zod';
import { EXAMPLES_PER_PASS, type Prompt } from '../environment/index.ts';
import { ConfigError } from '../errors.ts';
import { type GeneSource, likelyGenes, uniformGenes } from './gene-source.ts';
import {
  type Alphabet,
  alphabetOf,
  asPrompt,
  crossover,
  diversity,
  type Genome,
  mutate,
  type Sketch,
} from './genome.ts';
import { humanCandidates } from './human-prompts.ts';
import { anyTaskLm, isOpen, method, type PromptContext } from './method.ts';
import { finishRace, firstRound, mostExamples, shuffledBlocks, type Tried } from './racing.ts';

const options = z.strictObject({
  name: z.literal('evolution').default('evolution'),
  unit: z
    .enum(['tokens', 'words'])
    .default('tokens')
    .describe('What a gene is; words where the task LM is asked in text'),
  promptTokens: z
    .int()
    .min(1)
    .max(64)
    .default(5)
    .describe('Most tokens of a prompt; words where the task LM is asked in text'),
  start: z
    .enum(['both', 'human', 'random'])
    .default('both')
    .describe('First generation: human candidates, random prompts, or half of each'),
  genes: z
    .enum(['likely', 'uniform'])
    .default('likely')
    .describe('New genes: as the task LM would go on, or any'),
  topK: z.int().min(0).default(256).describe('Likeliest units to draw among; 0: all'),
  population: z.int().min(2).max(1024).default(16).describe('Prompts that live on (μ)'),
  children: z.int().min(1).max(1024).default(32).describe('New prompts of a generation (λ)'),
  tournament: z.int().min(1).max(64).default(3).describe('Prompts of which the best is a parent'),
  crossover: z.number().min(0).max(1).default(0.7).describe('Share of children of two parents'),
  furtherMutation: z
    .number()
    .min(0)
    .max(0.9)
    .default(0.3)
    .describe('Chance of one more mutation after each'),
  immigrants: z.number().min(0).max(1).default(0.1).describe('Share of children that are random'),
  firstShare: z
    .number()
    .min(0.01)
    .max(1)
    .default(0.25)
    .describe('Share of the example blocks that a child is first scored on; 1: no halving'),
  mostExamples,
});

type Options = z.infer<typeof options>;

/** A prompt that knows its genes. */
interface Individual extends Prompt {
  readonly genome: Genome;
}

export const evolution = method({
  name: 'evolution',
  summary: 'A genetic search over tokens or words, children scored by successive halving.',
  options,
  leastEvaluations(o, { train }) {
    const blocks = blocksOf(o, train.length, Math.ceil(train.length / EXAMPLES_PER_PASS));
    // How many human candidates fit, only a tokenizer can tell.
    const born = o.start === 'human' ? 1 : o.children;
    const { first } = blocks;
    return born * firstRound(train.length, { firstBlocks: first, blockSize: EXAMPLES_PER_PASS });
  },
  needs: { taskLm: anyTaskLm },
  async *run(context: PromptContext, o) {
    const { environment, budget, rng } = context;
    const { blockCount, examples } = environment;
    const open = isOpen(context) ? context : undefined;
    const alphabet = alphabetOf(o.unit, context.task, open?.taskLm.tokenizer);
    const genes =
      o.genes === 'likely' && open
        ? await likelyGenes(alphabet, open, { topK: o.topK })
        : uniformGenes(alphabet, rng);
    const nursery = new Nursery(context, o, { alphabet, genes });
    const { all, first: firstBlocks } = blocksOf(o, examples.length, blockCount);
    const scored = shuffledBlocks(environment, rng).slice(0, all);
    let population: readonly Tried<Individual>[] = [];
    try {
      for (let generation = 0; budget.isOpen; generation++) {
        const children =
          generation === 0 ? await nursery.first() : await nursery.children(population);
        if (children.length === 0) {
          context.warn(`generation ${generation}: no prompt is left that was not tried`);
          return;
        }
        const race = { ...context, blocks: rng.shuffle(scored), firstBlocks };
        const { tried, finalists } = await finishRace(children, race);
        population = [...population, ...finalists].sort(byReward).slice(0, o.population);
        const rewards = population.map(({ score }) => score.reward);
        yield {
          step: generation + 1,
          tried,
          quantities: {
            generation,
            ...(rewards.length > 0 ? { best: rewards[0]!, mean: meanOf(rewards) } : {}),
            diversity: diversity(population.map(({ prompt }) => prompt.genome)),
            finalists: finalists.length,
          },
        };
      }
    } finally {
      await genes.close();
    }
  },
});

/** How many blocks give the rewards, and how many of them a child is first scored on. */
function blocksOf(
  { mostExamples: most, firstShare }: Pick<Options, 'mostExamples' | 'firstShare'>,
  examples: number,
  blockCount: number,
): { all: number; first: number } {
  const all = Math.ceil(Math.min(1, most / examples) * blockCount);
  return { all, first: Math.max(1, Math.round(firstShare * all)) };
}

/** Makes prompts that fit, none twice in a run. */
class Nursery {
  private readonly context: PromptContext;
  private readonly options: Options;
  private readonly alphabet: Alphabet;
  private readonly genes: GeneSource;
  private readonly seen = new Set<string>();

  constructor(
    context: PromptContext,
    options: Options,
    { alphabet, genes }: { alphabet: Alphabet; genes: GeneSource },
  ) {
    this.context = context;
    this.options = options;
    this.alphabet = alphabet;
    this.genes = genes;
  }

  /** @throws ConfigError when nothing can be drawn, or no human candidate fits */
  async first(): Promise<Individual[]> {
    const { start, children, unit, promptTokens } = this.options;
    if (this.alphabet.units.length === 0) {
      const other = unit === 'words' ? 'tokens' : 'words';
      throw new ConfigError(
        `evolution: there are no ${unit} to draw genes from, try unit: ${other}`,
      );
    }
    const texts = start === 'random' ? [] : humanCandidates(this.context.task);
    const fitting = this.born(texts.map((text) => this.alphabet.split(text)));
    if (start === 'human' && fitting.length === 0) {
      throw new ConfigError(
        `evolution: no human candidate has at most ${promptTokens} tokens, raise promptTokens or set start to random`,
      );
    }
    const humans = fitting.slice(0, start === 'both' ? Math.ceil(children / 2) : undefined);
    if (start === 'human') return humans;
    const wanted = children - humans.length;
    return [...humans, ...(await this.raise(wanted, () => this.stranger()))];
  }

  children(population: readonly Tried<Individual>[]): Promise<Individual[]> {
    const { rng } = this.context;
    const { children, immigrants } = this.options;
    return this.raise(children, () =>
      population.length === 0 || rng.next() < immigrants
        ? this.stranger()
        : this.offspring(population),
    );
  }

  /** Up to `count` new prompts; fewer where nearly all were tried already. */
  private async raise(count: number, sketch: () => Sketch): Promise<Individual[]> {
    const out: Individual[] = [];
    for (let attempt = 0; attempt < 8 && out.length < count; attempt++) {
      const sketches = Array.from({ length: count - out.length }, sketch);
      out.push(...this.born(await this.genes.fill(sketches)));
    }
    return out;
  }

  private stranger(): Sketch {
    const { promptTokens } = this.options;
    return Array<null>(1 + this.context.rng.integer(promptTokens)).fill(null);
  }

  private offspring(population: readonly Tried<Individual>[]): Sketch {
    const { rng } = this.context;
    const { promptTokens: limit, furtherMutation } = this.options;
    let child: Sketch = this.parent(population);
    if (rng.next() < this.options.crossover) {
      const both = crossover(child as Genome, this.parent(population), { limit, rng });
      if (both.length > 0) child = both;
    }
    do child = mutate(child, { limit, rng });
    while (rng.next() < furtherMutation);
    return child;
  }

  /** The best of a few. */
  private parent(population: readonly Tried<Individual>[]): Genome {
    const { rng } = this.context;
    const drawn = Array.from(
      { length: this.options.tournament },
      () => population[rng.integer(population.length)]!,
    );
    return drawn.reduce((a, b) => (b.score.reward > a.score.reward ? b : a)).prompt.genome;
  }

  /** Those that fit and are new. */
  private born(genomes: readonly Genome[]): Individual[] {
    const layout = isOpen(this.context) ? this.context.environment.layout : undefined;
    return genomes.flatMap((genome) => {
      const prompt = asPrompt(genome, layout, this.options.promptTokens);
      if (!prompt || this.seen.has(prompt.text)) return [];
      this.seen.add(prompt.text);
      return [{ ...prompt, genome }];
    });
  }
}

function byReward(a: Tried, b: Tried): number {
  return b.score.reward - a.score.reward;
}

function meanOf(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
