import { defineConfig } from 'vitest/config';
import { SkippedReporter } from './test/support/skipped.ts';

export default defineConfig({
  test: {
    include: ['src/**/*.test.ts', 'test/**/*.test.ts', 'studio/src/**/*.test.ts'],
    testTimeout: 60_000,
    hookTimeout: 120_000,
    reporters: ['default', new SkippedReporter()],
    pool: 'forks',
    maxWorkers: 2,
  },
});
