/** How far long work has come: what the rooms below report and the command line draws. */

export interface Progress {
  /** What is being done, as a person would say it: "downloading smollm2-135m-instruct". */
  readonly phase: string;
  readonly done: number;
  /** Absent when the end is not known. */
  readonly total?: number;
  /** "bytes", "examples", "prompts" … */
  readonly unit: string;
  /** Why nothing moves, when it does not: "server asked to wait 5 s". */
  readonly waitingFor?: string;
}

export type OnProgress = (progress: Progress) => void;
