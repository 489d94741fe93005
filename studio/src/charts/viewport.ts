/**
 * The stretch of steps that charts of one run show together: what one of them is moved to, all show.
 * It works beside React, so that a pan costs a redraw of canvases and nothing else.
 */

export type Stretch = readonly [from: number, to: number];

export interface Viewport {
  /** Undefined: all there is. */
  readonly stretch: Stretch | undefined;
  show(stretch: Stretch | undefined): void;
  subscribe(listener: (stretch: Stretch | undefined) => void): () => void;
}

export function createViewport(): Viewport {
  const listeners = new Set<(stretch: Stretch | undefined) => void>();
  let stretch: Stretch | undefined;
  return {
    get stretch() {
      return stretch;
    },
    show(next) {
      stretch = next;
      for (const listener of listeners) listener(next);
    },
    subscribe(listener) {
      listeners.add(listener);
      return () => listeners.delete(listener);
    },
  };
}

/** Shifted by a share of its length, kept inside what there is. */
export function pan([from, to]: Stretch, by: number, [first, last]: Stretch): Stretch {
  const length = to - from;
  const start = Math.min(Math.max(from + by * length, first), Math.max(first, last - length));
  return [start, start + length];
}

/** Longer or shorter by a factor about a point; undefined where that shows everything. */
export function zoom(
  [from, to]: Stretch,
  { factor, about = (from + to) / 2 }: { factor: number; about?: number },
  [first, last]: Stretch,
): Stretch | undefined {
  const length = Math.max(4, (to - from) * factor);
  if (length >= last - first) return undefined;
  const start = about - ((about - from) / (to - from || 1)) * length;
  return pan([start, start + length], 0, [first, last]);
}
