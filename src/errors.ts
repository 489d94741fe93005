/**
 * The one hierarchy of errors that Whetstone throws.
 *
 * A message is one sentence: what, where, expected, got, how to mend. The command line prints the
 * message alone and turns the class into an exit code: usage and configuration 2, the rest 1.
 * Cancellation is not an error of ours: it is the standard `AbortError` of an `AbortSignal`.
 */

export class WhetstoneError extends Error {
  /** Stable, machine-readable name of the kind of failure. */
  readonly code: string = 'failed';
  override readonly name: string = this.constructor.name;
}

/** The command line or the configuration says something that cannot be meant. Exit code 2. */
export class ConfigError extends WhetstoneError {
  override readonly code: string = 'config';
}

/** A data file is missing, unreadable, or holds what cannot be a task. */
export class DataError extends WhetstoneError {
  override readonly code: string = 'data';
}

/** A model file is missing, damaged, hostile or of a kind we cannot run. */
export class WeightsError extends WhetstoneError {
  override readonly code: string = 'weights';
}

/** Tensors whose shapes or types do not fit each other: a mistake in a graph. */
export class ShapeError extends WhetstoneError {
  override readonly code: string = 'shape';
}

/** The tensor engine cannot be started or failed while running. */
export class EngineError extends WhetstoneError {
  override readonly code: string = 'engine';
}

/** A budget of evaluations, minutes or money is spent or too small for one step. */
export class BudgetError extends WhetstoneError {
  override readonly code: string = 'budget';
}

/** The store of runs or of models cannot be read or written. */
export class StoreError extends WhetstoneError {
  override readonly code: string = 'store';
}

/** A run was paused as somebody asked: no failure, the process ends all the same. Exit code 130. */
export class PauseError extends WhetstoneError {
  override readonly code: string = 'paused';
}

/** A download or a remote service failed. */
export class NetworkError extends WhetstoneError {
  override readonly code: string = 'network';
}

/** Exit code of the process for an error that reached the command line. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof ConfigError) return 2;
  if (isAbort(error) || error instanceof PauseError) return 130;
  return 1;
}

/** True for the standard cancellation error. */
export function isAbort(error: unknown): boolean {
  return error instanceof Error && error.name === 'AbortError';
}

/** Checks an internal invariant: a failure is a defect of ours, not of the input. */
export function assert(condition: unknown, message: string): asserts condition {
  if (!condition) throw new WhetstoneError(`internal: ${message}`);
}
