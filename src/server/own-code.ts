/**
 * Configurations as the studio takes them: checked as the command line checks them, but none that runs
 * code of a user's own (a metric that is a module) and none that holds a key. The first would let a page
 * run a program, the second would write the key into files that are kept.
 */
import { ConfigError } from '../errors.ts';
import { type Config, type LoadedConfig, parseConfig } from '../runs/config.ts';
import type { Studio } from './studio.ts';

/** @throws ConfigError */
export function configOf(
  { folder, redact }: Pick<Studio, 'folder' | 'redact'>,
  yaml: string,
  set: readonly string[] = [],
): LoadedConfig {
  refuseKeys(redact, [yaml, ...set]);
  const config = parseConfig(yaml, { label: 'the configuration', set });
  refuseOwnCode(config);
  return { config, path: 'studio', folder };
}

/** @throws ConfigError for a configuration that names a module */
export function refuseOwnCode({ task, reward }: Partial<Pick<Config, 'task' | 'reward'>>): void {
  const composed = typeof reward === 'object' && reward !== null ? reward : {};
  const metrics = Array.isArray(composed.metrics) ? composed.metrics : [];
  const named: readonly (readonly [string, unknown])[] = [
    ['task.metric', task?.metric],
    ...metrics.map((one, i) => [`reward.metrics.${i}.metric`, one?.metric] as const),
    ['reward.format.metric', composed.format?.metric],
  ];
  const isOwn = (metric: unknown) =>
    metric === 'function' || (metric as { name?: unknown } | null)?.name === 'function';
  const first = named.find(([, metric]) => isOwn(metric ?? null));
  if (!first) return;
  throw new ConfigError(
    `${first[0]}: the metric "function" runs a module of your own, which the studio does not do; run it from the command line with "whetstone optimize"`,
  );
}

/** @throws ConfigError for a text that holds what looks like a key */
export function refuseKeys(redact: Studio['redact'], texts: readonly string[]): void {
  if (texts.every((text) => redact(text) === text)) return;
  throw new ConfigError(
    'the configuration holds what looks like a key or a password; put it into an environment variable and name that, as in apiKey: env:OPENAI_API_KEY',
  );
}
