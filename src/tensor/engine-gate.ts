/** What both sides of the engine know at once, without messages: whether its thread is at work, and may begin. */

/** A thread that is still at work after so long is left to its fate when the process ends. */
const EXIT_WAIT_MS = 60_000;
const [BUSY, SHUT] = [0, 1];

export class Gate {
  readonly cells: Int32Array<SharedArrayBuffer>;

  /** Without cells a new one, busy: its thread has yet to load the native library. */
  constructor(cells?: Int32Array<SharedArrayBuffer>) {
    this.cells = cells ?? new Int32Array(new SharedArrayBuffer(8));
    if (cells === undefined) Atomics.store(this.cells, BUSY, 1);
  }

  /** From the thread, before it works. False: it may not, the gate is shut. */
  enter(): boolean {
    Atomics.store(this.cells, BUSY, 1);
    if (Atomics.load(this.cells, SHUT) === 0) return true;
    this.leave();
    return false;
  }

  leave(): void {
    Atomics.store(this.cells, BUSY, 0);
    Atomics.notify(this.cells, BUSY);
  }

  /** Nothing is begun any more. */
  shut(): void {
    Atomics.store(this.cells, SHUT, 1);
  }

  /** Settles once the thread is not at work. */
  async idle(): Promise<void> {
    await Atomics.waitAsync(this.cells, BUSY, 1).value;
  }

  /** The same for a process that ends, whose loop turns no more. */
  waitIdle(): void {
    Atomics.wait(this.cells, BUSY, 1, EXIT_WAIT_MS);
  }
}
