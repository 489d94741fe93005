/** Finds a prompt for a configured task, and records how. */
import { WhetstoneError } from '../errors.ts';
import type { LoadedConfig } from './config.ts';
import type { OnEvent, OptimizeResult } from './events.ts';
import type { RunStore } from './store.ts';

export interface OptimizeOptions {
  readonly onEvent?: OnEvent | undefined;
  /** Aborted: finish the step, then end. */
  readonly signal?: AbortSignal | undefined;
  readonly store: RunStore;
}

export async function optimize(
  _loaded: LoadedConfig,
  _options: OptimizeOptions,
): Promise<OptimizeResult> {
  throw new WhetstoneError('optimize: not there yet');
}
