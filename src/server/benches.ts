/**
 * One open task LM for the playground: opening takes seconds, so that it is kept for a while after it
 * was used, and closed when something else is asked or nothing is. One question at a time; a few may
 * wait.
 */
import type { Bench } from '../runs/bench.ts';
import type { LoadedConfig } from '../runs/config.ts';
import { openBench } from '../runs/open-bench.ts';
import { sha256Json } from '../util/hash.ts';
import { RequestFailure } from './failures.ts';

export interface Benches {
  /** @throws RequestFailure 503 when too many wait already */
  use<T>(loaded: LoadedConfig, signal: AbortSignal, work: (bench: Bench) => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

export interface BenchLimits {
  /** @default 300_000 */
  readonly idleMs?: number;
  /** Questions that may wait. @default 8 */
  readonly most?: number;
}

export function createBenches({ idleMs = 300_000, most = 8 }: BenchLimits = {}): Benches {
  let open: { readonly key: string; readonly bench: Bench } | undefined;
  let turn: Promise<unknown> = Promise.resolve();
  let waiting = 0;
  let idle: NodeJS.Timeout | undefined;

  const put = async () => {
    const { bench } = open ?? {};
    open = undefined;
    await bench?.close();
  };
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => {
    const mine = turn.then(work);
    turn = mine.catch(() => {});
    return mine;
  };
  const take = async (loaded: LoadedConfig): Promise<Bench> => {
    const key = sha256Json([loaded.config, loaded.folder]);
    if (open?.key === key && open.bench.isAlive) return open.bench;
    await put();
    const bench = await openBench(loaded, {});
    open = { key, bench };
    return bench;
  };

  return {
    async use(loaded, signal, work) {
      if (waiting >= most) {
        throw new RequestFailure(
          503,
          'refused',
          `${most} questions wait for the task LM already, ask again in a while`,
        );
      }
      waiting++;
      clearTimeout(idle);
      try {
        return await inTurn(async () => {
          // Whoever went away while waiting wants no answer any more.
          signal.throwIfAborted();
          return work(await take(loaded));
        });
      } finally {
        waiting--;
        if (waiting === 0) {
          clearTimeout(idle);
          idle = setTimeout(() => void inTurn(put), idleMs);
          idle.unref();
        }
      }
    },
    async close() {
      clearTimeout(idle);
      await inTurn(put);
    },
  };
}
