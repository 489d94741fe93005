/** The configuration that a recorded run was made with, ready to be opened again. */
import { StoreError } from '../errors.ts';
import type { LoadedConfig } from './config.ts';
import { configSchema } from './config-schema.ts';
import type { StoredRun } from './store.ts';

/** What was recorded cannot be read by today's schema. */
export class OldConfigError extends StoreError {}

/** @throws OldConfigError for one of another version */
export function configOf(run: StoredRun): LoadedConfig {
  const { folder, ...config } = run.config as { folder?: string };
  const parsed = configSchema.safeParse(config);
  if (parsed.success && folder !== undefined) {
    // Label words that were searched for are recorded where given ones stand.
    return { config: { ...parsed.data, labelWords: 'given' }, path: run.id, folder };
  }
  throw new OldConfigError(`run ${run.id}: its configuration is of another version, run it again`);
}
