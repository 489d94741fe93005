/** A binary min-heap of numbers, each with a payload: two plain arrays, nothing allocated a push. */

export interface Heap {
  readonly size: number;
  push(key: number, payload: number): void;
  /** The smallest key; the heap must not be empty. */
  topKey(): number;
  /** Removes the smallest key and gives its payload; the heap must not be empty. */
  pop(): number;
}

export function createHeap(): Heap {
  const keys: number[] = [];
  const payloads: number[] = [];

  function place(at: number, key: number, payload: number): void {
    keys[at] = key;
    payloads[at] = payload;
  }

  return {
    get size() {
      return keys.length;
    },
    topKey: () => keys[0]!,
    push(key, payload) {
      let at = keys.length;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (keys[parent]! <= key) break;
        place(at, keys[parent]!, payloads[parent]!);
        at = parent;
      }
      place(at, key, payload);
    },
    pop() {
      const result = payloads[0]!;
      const key = keys.pop()!;
      const payload = payloads.pop()!;
      const count = keys.length;
      if (count === 0) return result;
      let at = 0;
      for (let child = 1; child < count; child = 2 * at + 1) {
        if (child + 1 < count && keys[child + 1]! < keys[child]!) child++;
        if (keys[child]! >= key) break;
        place(at, keys[child]!, payloads[child]!);
        at = child;
      }
      place(at, key, payload);
      return result;
    },
  };
}
