/** Messages between the engine (main thread) and its worker, which holds every session and tensor. */
import type { DType } from './graph.ts';

export type TensorData =
  | Float32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>
  | Int8Array<ArrayBuffer>;

/** A value as it crosses the thread border. */
export interface HostTensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly data: TensorData;
}

export interface SessionOptions {
  readonly device: 'cpu' | 'webgpu' | 'cuda';
  readonly threads: number;
  /** Repacks matrices at load: faster products, but a copy of the weights in memory. */
  readonly prepack: boolean;
}

export type Feed = HostTensor | { readonly handle: number };

export type Request =
  | {
      readonly kind: 'load';
      /** A file (weights lie beside it) or the bytes of a program without weights. */
      readonly source: string | Uint8Array;
      readonly options: SessionOptions;
    }
  | {
      readonly kind: 'run';
      readonly session: number;
      readonly feeds: Readonly<Record<string, Feed>>;
      readonly outputs: readonly string[];
      /** Outputs that stay in the worker; a handle comes back in their stead. */
      readonly keep: readonly string[];
    }
  | { readonly kind: 'store'; readonly tensor: HostTensor }
  | { readonly kind: 'drop'; readonly handles: readonly number[] }
  | { readonly kind: 'unload'; readonly session: number };

export interface Kept {
  readonly handle: number;
  readonly shape: readonly number[];
  readonly dtype: DType;
}

/** To the request of that id. */
export type Reply =
  | { readonly id: number; readonly ok: true; readonly value: unknown }
  | { readonly id: number; readonly ok: false; readonly message: string };
