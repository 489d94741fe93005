/**
 * The stretch of steps that charts of one run show together: what one of them is moved to, all show.
 * It works beside React, so that a pan costs a redraw of canvases and nothing else.
 *
 * To draw a canvas is most of a frame's work where there is no graphics card. So the chart under the hand
 * is drawn in every frame, and of the others the one that waited longest: it moves smoothly however many
 * there are, and all have arrived a few frames after it stands still.
 */

export type Stretch = readonly [from: number, to: number];

export interface Viewport {
  /** Undefined: all there is. */
  readonly stretch: Stretch | undefined;
  /** Shows it in the chart that `lead` draws at the next frame, and in the others soon after. */
  show(stretch: Stretch | undefined, lead?: Draw): void;
  /** Returns the way out. */
  subscribe(draw: Draw): () => void;
}

type Draw = () => void;

/** @param frame Calls back before the browser draws the next time. */
export function createViewport(
  frame: (work: () => void) => void = (work) => requestAnimationFrame(work),
): Viewport {
  const all = new Set<Draw>();
  /** Those that show an earlier stretch, the one that waited longest first. */
  const stale = new Set<Draw>();
  let stretch: Stretch | undefined;
  let leading: Draw | undefined;
  let isAsked = false;
  const ask = () => {
    if (isAsked) return;
    isAsked = true;
    frame(() => {
      isAsked = false;
      if (leading) draw(leading);
      const [next] = stale;
      if (next) draw(next);
      if (stale.size > 0) ask();
    });
  };
  const draw = (one: Draw) => {
    if (stale.delete(one)) one();
  };
  return {
    get stretch() {
      return stretch;
    },
    show(next, lead) {
      stretch = next;
      leading = lead;
      for (const one of all) stale.add(one);
      ask();
    },
    subscribe(one) {
      all.add(one);
      return () => {
        all.delete(one);
        stale.delete(one);
      };
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
