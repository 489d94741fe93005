/** Asks a model for its next tokens; a masked LM for the tokens at its mask. */
import { ConfigError } from '../errors.ts';
import { loadScorer } from '../models/programs.ts';
import { Engine } from '../tensor/index.ts';
import type { OnProgress } from '../util/progress.ts';
import type { ScoreResult } from './events.ts';
import { openModel } from './open-model.ts';

export interface ScoreOptions {
  readonly text: string;
  readonly top: number;
  readonly precision: 'float32' | 'int8';
  readonly device: 'cpu' | 'webgpu' | 'cuda';
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** @throws ConfigError when the text is empty, too long, or has no mask for a masked LM */
export async function scoreText(name: string, options: ScoreOptions): Promise<ScoreResult> {
  const engine = new Engine({ device: options.device });
  try {
    const model = await openModel(name, { ...options, engine });
    const { tokenizer, config } = model;
    const tokens = tokenizer.encode(options.text, { addSpecialTokens: true });
    if (tokens.length === 0)
      throw new ConfigError('--text: the text is empty, give at least one token');
    if (tokens.length > config.contextLength) {
      throw new ConfigError(
        `--text: the text is ${tokens.length} tokens, ${model.name} reads at most ${config.contextLength}`,
      );
    }
    const { mask } = tokenizer.special;
    const place = config.kind === 'masked' ? tokens.indexOf(mask ?? -1) : tokens.length - 1;
    if (place < 0) {
      throw new ConfigError(
        `--text: ${model.name} is a masked LM, the text needs its mask token ${mask === undefined ? '' : tokenizer.decode([mask], { keepSpecialTokens: true })}`,
      );
    }
    const scorer = await loadScorer(model, 'logProbs', {
      precision: options.precision,
      prepack: false,
    });
    const logProbs = await scorer.run([tokens], [place]);
    const order = [...logProbs.keys()].sort((a, b) => logProbs[b]! - logProbs[a]!);
    await model.close();
    return {
      kind: 'result',
      tokens,
      top: order.slice(0, options.top).map((id) => ({
        id,
        token: tokenizer.tokenText(id),
        logProb: logProbs[id]!,
      })),
    };
  } finally {
    await engine.close();
  }
}
