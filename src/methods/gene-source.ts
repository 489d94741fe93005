/**
 * Where new genes come from: drawn uniformly, or from the task LM's own distribution at the gene's
 * place, after the input of an example and the genes before it (a masked LM reads those after it, too).
 */
import type { LanguageModel } from '../models/language-model.ts';
import { loadScorer, type Scorer } from '../models/programs.ts';
import { sampleAction } from '../policy/sampling.ts';
import type { Rng } from '../util/rng.ts';
import type { Alphabet, Genome, Sketch } from './genome.ts';
import type { MethodContext } from './method.ts';

export interface GeneSource {
  /** Draws every gene that is still open. */
  fill(sketches: readonly Sketch[]): Promise<Genome[]>;
  close(): Promise<void>;
}

export function uniformGenes({ units }: Alphabet, rng: Rng): GeneSource {
  return {
    fill: async (sketches) =>
      sketches.map((sketch) => sketch.map((gene) => gene ?? units[rng.integer(units.length)]!)),
    close: async () => {},
  };
}

/** Genes among the task LM's `topK` likeliest units; units of several tokens are drawn by nobody. */
export async function likelyGenes(
  { units }: Alphabet,
  context: MethodContext,
  { topK }: { topK: number },
): Promise<GeneSource> {
  const { taskLm, environment, rng, budget } = context;
  const single = units.flatMap((unit) => {
    const ids = taskLm.tokenizer.encode(unit);
    return ids.length === 1 ? [{ unit, id: ids[0]! }] : [];
  });
  const { precision } = environment;
  const scorer = await loadScorer(taskLm, 'logits', { precision, prepack: false });
  const draw = (logits: Float32Array): string => {
    const values = Float32Array.from(single, ({ id }) => logits[id]!);
    return single[sampleAction(values, { temperature: 1, topK }, rng).action]!.unit;
  };
  const any = () => units[rng.integer(units.length)]!;
  return {
    async fill(sketches) {
      const out = sketches.map((sketch) => [...sketch]);
      for (;;) {
        const open = out.filter((sketch) => sketch.includes(null));
        if (open.length === 0) return out as string[][];
        const places = open.map((sketch) => placeOf(sketch, context));
        const logits = await logitsAt(scorer, places, taskLm);
        budget.spend(places.filter(({ ids }) => ids.length > 0).length);
        for (const [i, sketch] of open.entries()) {
          const row = logits[i];
          sketch[sketch.indexOf(null)] = row && single.length > 0 ? draw(row) : any();
        }
      }
    },
    close: () => scorer.unload(),
  };
}

interface Place {
  readonly ids: readonly number[];
  readonly at: number;
}

/** The ids that are read, and where the first open gene is foretold. */
function placeOf(sketch: Sketch, { task, taskLm, environment, rng }: MethodContext): Place {
  const { layout } = environment;
  const { input } = task.train[rng.integer(task.train.length)]!;
  const open = sketch.indexOf(null);
  const before = sketch.slice(0, open).join('').trim();
  const { mask } = taskLm.tokenizer.special;
  if (layout.order !== 'masked' || mask === undefined) {
    const ids = [...layout.before(input), ...layout.prompt(before)];
    return { ids, at: ids.length - 1 };
  }
  const after = sketch.slice(open + 1).filter((gene) => gene !== null);
  const left = [...layout.before(input), ...layout.prompt(before)];
  const right = [...taskLm.tokenizer.encode(after.join('')), ...layout.after(input)];
  const frame = taskLm.tokenizer.encode('', { addSpecialTokens: true });
  const half = frame.length / 2;
  const ids = [...frame.slice(0, half), ...left, mask, ...right, ...frame.slice(half)];
  return { ids, at: half + left.length };
}

/** Logits [V] at each place; nothing where there is nothing to read. */
async function logitsAt(
  scorer: Scorer,
  places: readonly Place[],
  { config }: LanguageModel,
): Promise<(Float32Array | undefined)[]> {
  const V = config.vocabulary;
  const out: (Float32Array | undefined)[] = places.map(() => undefined);
  const order = [...places.keys()].filter((i) => places[i]!.ids.length > 0);
  order.sort((a, b) => places[a]!.ids.length - places[b]!.ids.length);
  for (let i = 0; i < order.length; i += 16) {
    const rows = order.slice(i, i + 16);
    const values = await scorer.run(
      rows.map((r) => places[r]!.ids),
      rows.map((r) => places[r]!.at),
    );
    for (const [b, r] of rows.entries()) out[r] = values.subarray(b * V, (b + 1) * V);
  }
  return out;
}
