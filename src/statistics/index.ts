/** Intervals and tests for claims about results. */
export { type BootstrapOptions, bootstrapMean, type Interval, quantile } from './bootstrap.ts';
export { type CrossedSample, crossedBootstrap } from './crossed-bootstrap.ts';
export { holm } from './holm.ts';
export { classify, fitLogistic, type LinearClassifier } from './logistic.ts';
export { mcnemarExact, mcnemarPaired } from './mcnemar.ts';
export { normalQuantile } from './normal.ts';
export { type PermutationResult, pairedPermutationTest } from './permutation.ts';
export { ranks, spearman } from './spearman.ts';
export { wilsonInterval } from './wilson.ts';
