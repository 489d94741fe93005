/**
 * Keeps what was computed with a run, so that a later process which asks the same in the same order gets
 * the answers without computing. To whoever asks it looks as if it had been computed: it counts.
 */
export interface Recorder {
  /** The answer that was recorded next under the key, or what `compute` gives, which is recorded. */
  floats(key: string, compute: () => Promise<Float32Array>): Promise<Float32Array>;
  /** What had been recorded under keys with this beginning when the search was left, oldest first. */
  known(beginning: string): Iterable<{ readonly key: string; readonly values: Float32Array }>;
}

/** Records nothing. */
export const noRecorder: Recorder = {
  floats: (_, compute) => compute(),
  known: () => [],
};

/** Doubles as pairs of floats, bit by bit: what a recorder keeps are floats. */
export function packDoubles(values: readonly number[]): Float32Array {
  return new Float32Array(Float64Array.from(values).buffer);
}

export function unpackDoubles(packed: Float32Array): Float64Array {
  return new Float64Array(Uint8Array.from(bytesOf(packed)).buffer);
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}
