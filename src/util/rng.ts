/**
 * Seeded random numbers: sfc32, whose whole state is four 32-bit words and so can be stored with a
 * run. Source: C. Doty-Humphrey, PractRand (sfc32); seeding by splitmix32.
 */

/** The generator's state: four unsigned 32-bit words. */
export type RngState = readonly [number, number, number, number];

export interface Rng {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, n). */
  integer(n: number): number;
  /** Standard normal (Box–Muller, one value a call). */
  normal(): number;
  /** A new array with the same elements in random order (Fisher–Yates). */
  shuffle<T>(items: readonly T[]): T[];
  /** An independent generator whose seed depends on this one's seed words and the label only. */
  fork(label: string): Rng;
  /** What `restoreRng` and `goOn` need to go on exactly from here. */
  state(): RngState;
  /** Goes on from a state of this same generator; what is forked off stays the same. */
  goOn(state: RngState): void;
}

/** A generator from a seed: any integer or string. */
export function createRng(seed: number | string): Rng {
  let h = hash32(String(seed));
  const word = () => {
    h = (h + 0x9e3779b9) | 0;
    let t = h ^ (h >>> 16);
    t = Math.imul(t, 0x21f0aaad);
    t ^= t >>> 15;
    t = Math.imul(t, 0x735a2d97);
    return (t ^ (t >>> 15)) >>> 0;
  };
  const rng = restoreRng([word(), word(), word(), word()]);
  for (let i = 0; i < 12; i++) rng.next();
  return rng;
}

/** A generator that goes on from a stored state. */
export function restoreRng(state: RngState): Rng {
  let [a, b, c, d] = state.map((w) => w | 0) as [number, number, number, number];
  const origin = state.join(',');
  const next32 = () => {
    const t = (((a + b) | 0) + d) | 0;
    d = (d + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  const next = () => next32() / 0x1_0000_0000;
  const integer = (n: number) => Math.floor(next() * n);
  return {
    next,
    integer,
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    shuffle<T>(items: readonly T[]): T[] {
      const out = [...items];
      for (let i = out.length - 1; i > 0; i--) {
        const j = integer(i + 1);
        const kept = out[i]!;
        out[i] = out[j]!;
        out[j] = kept;
      }
      return out;
    },
    fork: (label) => createRng(`${origin}/${label}`),
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
    goOn(from) {
      [a, b, c, d] = from.map((w) => w | 0) as [number, number, number, number];
    },
  };
}

/** FNV-1a over the UTF-16 code units. */
function hash32(text: string): number {
  let h = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  return h | 0;
}
