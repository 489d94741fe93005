/** The test split behind a door that counts: a run opens it once, and a report can show that. */
import type { SealedSplit } from './task.ts';

/** Seals the examples; only `open()` gives them out, and JSON shows the size alone. */
export function sealSplit<E>(examples: readonly E[]): SealedSplit<E> {
  const sealed = Object.freeze([...examples]);
  let opened = 0;
  return {
    size: sealed.length,
    get opened() {
      return opened;
    },
    open() {
      opened++;
      return sealed;
    },
    check(inspect) {
      for (const example of sealed) inspect(example);
    },
  };
}
