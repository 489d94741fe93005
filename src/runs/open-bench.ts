/** Chooses how the task LM is read: its logits for labels where it is open, else its text. */
import { isTextTask } from '../tasks/index.ts';
import type { Bench, OpenOptions } from './bench.ts';
import type { LoadedConfig } from './config.ts';
import { isRemote } from './model-reference.ts';
import { TextBench } from './text-bench.ts';
import { Workbench } from './workbench.ts';

/** True where the task LM of a configuration is asked in text. */
export function isAskedInText({ config }: LoadedConfig): boolean {
  return isTextTask(config.task) || isRemote(config.taskLm);
}

export function openBench(loaded: LoadedConfig, options: OpenOptions): Promise<Bench> {
  return isAskedInText(loaded) ? TextBench.open(loaded, options) : Workbench.open(loaded, options);
}
