/** Asks a model for its next tokens. */
import { WhetstoneError } from '../errors.ts';
import type { OnProgress } from '../util/progress.ts';
import type { ScoreResult } from './events.ts';

export interface ScoreOptions {
  readonly text: string;
  readonly top: number;
  readonly precision: 'float32' | 'int8';
  readonly device: 'cpu' | 'webgpu' | 'cuda';
  readonly onProgress?: OnProgress | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function scoreText(_model: string, _options: ScoreOptions): Promise<ScoreResult> {
  throw new WhetstoneError('models score: not there yet');
}
