/** What a comparison says while it works and at its end, beside the events of its runs. */
import type { SolutionKind } from '../methods/index.ts';
import type { LedgerLine } from '../providers/index.ts';
import type { Repetition } from './compare-plan.ts';
import type { CellState } from './comparison-table.ts';
import type { RunEvent } from './events.ts';

/** The whole grid, before the first cell. */
export interface ComparisonEvent {
  readonly kind: 'comparison';
  readonly comparisonId: string;
  readonly task: string;
  readonly taskLm: string;
  readonly policyLm: string;
  readonly methods: readonly string[];
  readonly repetitions: readonly Repetition[];
  /** Numbers of examples, of the first repetition. */
  readonly examples: { readonly train: number; readonly validation: number; readonly test: number };
  /** Most seconds of search a cell. */
  readonly budgetSeconds: number;
  /** Cells taken from the store. */
  readonly resumed: number;
}

/** A cell changed its state. */
export interface CellEvent {
  readonly kind: 'cell';
  readonly method: string;
  /** Index of the repetition. */
  readonly repetition: number;
  readonly seed: number;
  readonly split?: string;
  /** `untested`: searched and chosen, the test split not opened yet. */
  readonly state: CellState;
  readonly runId?: string;
  /** Of search and choice. */
  readonly seconds?: number;
  readonly error?: string;
  /** Cells that need no more search. */
  readonly done: number;
  readonly total: number;
}

/** A run's event says which cell it comes from. */
export type CompareEvent =
  | ComparisonEvent
  | CellEvent
  | (RunEvent & { readonly method?: string; readonly repetition?: number });

export type OnCompareEvent = (event: CompareEvent) => void;

/** A method's line; null where none of its cells came to an end. */
export interface CompareRow {
  readonly method: string;
  readonly kindOfResult: SolutionKind;
  /** Seeds of the repetitions that came to an end. */
  readonly seeds: readonly number[];
  /** Accuracy (of answers in text, their score) on the sealed test split, mean over repetitions, with its 95% interval. */
  readonly test: {
    readonly mean: number;
    readonly interval: readonly [low: number, high: number];
  } | null;
  /** Mean accuracy. */
  readonly validation: number | null;
  /** Mean task-LM example evaluations of the search. */
  readonly evaluations: number | null;
  /** Mean seconds of search and choice. */
  readonly seconds: number | null;
  /** Mean dollars of search and choice; null where a price is not known, too. */
  readonly usd: number | null;
}

/** Two methods on the repetitions that both finished. */
export interface ComparePair {
  readonly a: string;
  readonly b: string;
  /** Mean accuracy of a less that of b. */
  readonly difference: number;
  readonly interval: readonly [low: number, high: number];
  /** Paired permutation test over test examples. */
  readonly p: number;
  /** The same after Holm's correction over all pairs. */
  readonly pAdjusted: number;
}

export interface CompareResult {
  readonly kind: 'result';
  readonly rows: readonly CompareRow[];
  readonly pairs: readonly ComparePair[];
  /** Of the scores, where answers are text. */
  readonly metric?: string;
  /** What models that answer in text took this time; zeros where none was asked. */
  readonly ledger: LedgerLine;
  /** Paths of the report. */
  readonly report: { readonly html: string; readonly markdown: string };
}
