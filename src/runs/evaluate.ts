/** Scores one prompt on one split of a configured task. */
import { WhetstoneError } from '../errors.ts';
import type { LoadedConfig } from './config.ts';
import type { EvaluateResult, OnEvent, SplitName } from './events.ts';

export interface EvaluateOptions {
  readonly prompt: string;
  readonly split: SplitName;
  readonly onEvent?: OnEvent | undefined;
  readonly signal?: AbortSignal | undefined;
}

export async function evaluate(
  _loaded: LoadedConfig,
  _options: EvaluateOptions,
): Promise<EvaluateResult> {
  throw new WhetstoneError('evaluate: not there yet');
}
