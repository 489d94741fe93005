/** How far long work has come: what the rooms below report and the command line draws. */

export interface Progress {
  /** What is being done, as a person would say it: "downloading smollm2-135m-instruct". */
  readonly phase: string;
  readonly done: number;
  /** Absent when the end is not known. */
  readonly total?: number;
  /** "bytes", "examples", "prompts" … */
  readonly unit: string;
  /** Judged by how long what is done took, where that is known. */
  readonly secondsLeft?: number;
  /** Why nothing moves, when it does not: "server asked to wait 5 s". */
  readonly waitingFor?: string;
}

/** Tells of a phase step by step, with the time that is left at the pace so far. */
export function progressOf(
  { phase, total, unit }: Required<Pick<Progress, 'phase' | 'total' | 'unit'>>,
  onProgress: OnProgress | undefined,
): (done: number) => void {
  const began = performance.now();
  return (done) => {
    const secondsLeft = ((performance.now() - began) / 1000) * ((total - done) / done);
    onProgress?.({ phase, done, total, unit, ...(done > 0 ? { secondsLeft } : {}) });
  };
}

export type OnProgress = (progress: Progress) => void;
