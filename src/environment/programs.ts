/** The programs of a task LM in one precision, loaded when first needed and shared by environments. */
import type { LanguageModel } from '../models/language-model.ts';
import {
  type Brancher,
  loadBrancher,
  loadPrefiller,
  loadScorer,
  type Prefiller,
  type ProgramOptions,
  type Scorer,
} from '../models/programs.ts';

export class TaskLmPrograms {
  private readonly model: LanguageModel;
  private readonly options: ProgramOptions;
  private readonly loaded = new Map<string, Promise<Prefiller | Brancher | Scorer>>();

  constructor(model: LanguageModel, options: ProgramOptions) {
    this.model = model;
    this.options = options;
  }

  /** Of examples' texts: computed once a run, in float32, so that int8 errs in the prompt's own tokens alone. */
  prefiller(): Promise<Prefiller> {
    const options = { ...this.options, precision: 'float32', prepack: false } as const;
    return this.once('prefiller', () => loadPrefiller(this.model, options));
  }

  /** Of prompts that come first: computed for each, in the precision of the search. */
  promptPrefiller(): Promise<Prefiller> {
    return this.once('prompt prefiller', () => loadPrefiller(this.model, this.options));
  }

  brancher(want: 'labels' | 'labelLogProbs'): Promise<Brancher> {
    return this.once(`brancher ${want}`, () => loadBrancher(this.model, want, this.options));
  }

  scorer(want: 'labels' | 'labelLogProbs'): Promise<Scorer> {
    return this.once(`scorer ${want}`, () => loadScorer(this.model, want, this.options));
  }

  /** Frees the prefiller, and with it the weights that it has mapped; it is loaded again when needed. */
  async releasePrefiller(): Promise<void> {
    const prefiller = this.loaded.get('prefiller');
    this.loaded.delete('prefiller');
    await (await prefiller)?.unload();
  }

  async unload(): Promise<void> {
    for (const program of this.loaded.values()) await (await program).unload();
    this.loaded.clear();
  }

  private once<T extends Prefiller | Brancher | Scorer>(
    key: string,
    load: () => Promise<T>,
  ): Promise<T> {
    const program = (this.loaded.get(key) as Promise<T> | undefined) ?? load();
    this.loaded.set(key, program);
    return program;
  }
}
