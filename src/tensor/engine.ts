/**
 * Runs programs: the main thread's side. All computing happens in one worker thread, so that
 * progress, signals and servers stay alive while a graph runs. Large tensors (keys and values)
 * stay in the worker as handles; token ids and small results cross the border.
 */
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ConfigError, EngineError, isAbort, WhetstoneError } from '../errors.ts';
import { writeFileAtomic } from '../util/atomic-file.ts';
import { onDisk } from '../util/disk.ts';
import { Gate } from './engine-gate.ts';
import type { Feed, HostTensor, Kept, Reply, Request, SessionOptions } from './engine-protocol.ts';
import type { DType } from './graph.ts';
import type { Program } from './onnx.ts';

export type { HostTensor, Kept, TensorData } from './engine-protocol.ts';
export type Device = SessionOptions['device'];

export interface EngineOptions {
  /** @default 'cpu' */
  readonly device?: Device;
  /** Threads of one run. @default the machine's cores */
  readonly threads?: number;
  /**
   * Once aborted, the engine computes nothing more: what was asked for, and what is asked later, is
   * rejected with the signal's reason. A graph that runs already is let to its end, which `close` waits for.
   */
  readonly signal?: AbortSignal | undefined;
}

export interface LoadOptions {
  /** Folder that holds the program's weight files; needed if it has any. */
  readonly folder?: string;
  /** Repack matrices at load, for 5–12% of speed at the price of a copy in memory. @default true */
  readonly prepack?: boolean;
}

type Outputs<K extends string> = Record<string, HostTensor> & Record<K, Kept>;

/** A loaded program. */
export interface Executable {
  readonly program: Program;
  /**
   * Runs once. Outputs named in `keep` stay in the engine and come back as handles.
   * @throws EngineError when the engine refuses, out of memory included
   */
  run<K extends string = never>(
    feeds: Readonly<Record<string, HostTensor | Kept>>,
    options?: { outputs?: readonly string[]; keep?: readonly K[] },
  ): Promise<Outputs<K>>;
  unload(): Promise<void>;
}

export class Engine {
  readonly device: Device;
  readonly threads: number;
  private readonly worker: Worker;
  private readonly waiting = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  private nextId = 1;
  private failure: Error | undefined;
  private readonly gate = new Gate();
  private readonly signal: AbortSignal | undefined;
  private readonly onAbort = () => this.end(asError(this.signal?.reason));

  constructor({ device = 'cpu', threads = availableParallelism(), signal }: EngineOptions = {}) {
    this.device = device;
    this.threads = threads;
    this.signal = signal;
    this.worker = startWorker(this.gate);
    this.worker.unref();
    atExit(this.gate);
    this.worker.on('message', (reply: Reply) => this.settle(reply));
    this.worker.on('error', (error) => this.lose(`the engine thread failed: ${error.message}`));
    this.worker.on('exit', (code) => this.lose(`the engine thread ended (code ${code})`));
    if (signal?.aborted) this.onAbort();
    else signal?.addEventListener('abort', this.onAbort, { once: true });
  }

  /** True once nothing can be computed any more. */
  get hasFailed(): boolean {
    return this.failure !== undefined;
  }

  /** Makes a program ready to run. @throws EngineError when the engine cannot load it */
  async load(program: Program, { folder, prepack = true }: LoadOptions = {}): Promise<Executable> {
    const options: SessionOptions = { device: this.device, threads: this.threads, prepack };
    const session = program.hasWeights
      ? await this.loadBeside(program, folder, options)
      : await this.request({ kind: 'load', source: program.onnx, options });
    return new LoadedProgram(program, session as number, (r) => this.request(r));
  }

  /** Puts a tensor into the engine, to be used as an input of many runs. */
  async store(tensor: HostTensor): Promise<Kept> {
    const handle = (await this.request({ kind: 'store', tensor })) as number;
    return { handle, shape: tensor.shape, dtype: tensor.dtype };
  }

  /** Frees kept tensors. */
  async drop(tensors: readonly Kept[]): Promise<void> {
    if (tensors.length > 0) {
      await this.request({ kind: 'drop', handles: tensors.map(({ handle }) => handle) });
    }
  }

  /**
   * Ends the worker thread once the graph that it runs is done; what else was asked for is rejected.
   * The engine cannot be used afterwards.
   */
  async close(): Promise<void> {
    this.end(new EngineError('the engine was closed'));
    this.worker.ref();
    await this.gate.idle();
    await this.worker.terminate();
  }

  // The graph file must lie beside its weights while the session is made; nothing needs it later.
  private async loadBeside(program: Program, folder: string | undefined, options: SessionOptions) {
    if (folder === undefined) {
      throw new EngineError('the program has weights, name the folder that holds them');
    }
    const path = join(folder, `.program-${randomUUID()}.onnx`);
    try {
      await writeFileAtomic(path, program.onnx, { isPrivate: true });
      return await this.request({ kind: 'load', source: path, options });
    } catch (error) {
      if (error instanceof WhetstoneError || isAbort(error)) throw error;
      return await onDisk(folder, () => Promise.reject(error));
    } finally {
      await rm(path, { force: true });
    }
  }

  private request(request: Request): Promise<unknown> {
    if (this.failure) return Promise.reject(this.failure);
    const id = this.nextId++;
    return new Promise((resolve, reject) => {
      if (this.waiting.size === 0) this.worker.ref();
      this.waiting.set(id, { resolve, reject });
      this.worker.postMessage({ id, request });
    });
  }

  private settle(reply: Reply): void {
    const waiter = this.waiting.get(reply.id);
    // Of a graph that ran on while the engine was closed or aborted.
    if (waiter === undefined) return;
    this.waiting.delete(reply.id);
    if (this.waiting.size === 0) this.worker.unref();
    if (reply.ok) waiter.resolve(reply.value);
    else waiter.reject(refusal(reply.message, this.device));
  }

  /** Nothing more is begun, and nobody waits any longer. */
  private end(reason: Error): void {
    this.gate.shut();
    this.failure ??= reason;
    for (const { reject } of this.waiting.values()) reject(this.failure);
    if (this.waiting.size > 0) this.worker.unref();
    this.waiting.clear();
  }

  /** The thread is gone. */
  private lose(message: string): void {
    this.gate.leave();
    this.signal?.removeEventListener('abort', this.onAbort);
    forget(this.gate);
    this.end(new EngineError(message));
  }
}

class LoadedProgram implements Executable {
  readonly program: Program;
  private readonly session: number;
  private readonly request: (request: Request) => Promise<unknown>;

  constructor(program: Program, session: number, request: (r: Request) => Promise<unknown>) {
    this.program = program;
    this.session = session;
    this.request = request;
  }

  async run<K extends string = never>(
    feeds: Readonly<Record<string, HostTensor | Kept>>,
    { outputs, keep = [] }: { outputs?: readonly string[]; keep?: readonly K[] } = {},
  ): Promise<Outputs<K>> {
    const value = await this.request({
      kind: 'run',
      session: this.session,
      feeds: feeds as Record<string, Feed>,
      outputs: outputs ?? this.program.outputs,
      keep,
    });
    return value as Outputs<K>;
  }

  async unload(): Promise<void> {
    await this.request({ kind: 'unload', session: this.session });
  }
}

/** A host tensor of int64 values. */
export function int64(values: ArrayLike<number>, shape?: readonly number[]): HostTensor {
  const data = new BigInt64Array(values.length);
  for (let i = 0; i < values.length; i++) data[i] = BigInt(values[i]!);
  return { dtype: 'int64', shape: shape ?? [values.length], data };
}

/** A host tensor of float32 values. */
export function float32(
  values: Float32Array<ArrayBuffer> | readonly number[],
  shape?: readonly number[],
): HostTensor {
  const data = values instanceof Float32Array ? values : Float32Array.from(values);
  return { dtype: 'float32', shape: shape ?? [data.length], data };
}

/** The float32 values of a host tensor. */
export function floats(tensor: HostTensor | undefined): Float32Array<ArrayBuffer> {
  if (tensor?.data instanceof Float32Array) return tensor.data as Float32Array<ArrayBuffer>;
  throw new EngineError(`float32 values are needed, got ${tensor?.dtype ?? 'nothing'}`);
}

export type { DType };

/**
 * When it makes a session, the native library does something with the process's command line that takes
 * stack in proportion: arguments of 40 KB (a long prompt) overran the 4 MB that a thread has by default,
 * and the process ended by a segmentation fault. Stack is taken from memory only where it is used.
 */
const resourceLimits = { stackSizeMb: 256 };

// From sources (tests, tools) the worker needs a TypeScript loader of its own.
function startWorker({ cells: workerData }: Gate): Worker {
  if (!import.meta.url.endsWith('.ts'))
    // Options of the process are not the thread's: under --input-type it would not even begin.
    return new Worker(new URL('./engine-worker.js', import.meta.url), { workerData, execArgv: [], resourceLimits }); // biome-ignore format: one call
  const file = new URL('./engine-worker.ts', import.meta.url).href;
  const code = `import('tsx/esm/api').then(({ register }) => { register(); return import(${JSON.stringify(file)}); })`;
  return new Worker(code, { eval: true, workerData, resourceLimits });
}

/** Gates of all threads that live. */
const gates = new Set<Gate>();

/**
 * The native library ends the whole process with words of its own where its thread is ended while it
 * computes. So a process that ends by itself (`process.exit`, an error that nobody caught) waits for the
 * graphs in hand. This changes nothing else about its end, and no signal is listened for.
 */
function atExit(gate: Gate): void {
  if (gates.size === 0) process.once('exit', leaveNone);
  gates.add(gate);
}

function forget(gate: Gate): void {
  if (gates.delete(gate) && gates.size === 0) process.off('exit', leaveNone);
}

function leaveNone(): void {
  for (const gate of gates) gate.shut();
  for (const gate of gates) gate.waitIdle();
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new EngineError(`the engine was aborted: ${reason}`);
}

/** A device that is not there is a mistake in the configuration; the rest is the engine's. */
function refusal(message: string, device: Device): Error {
  const line = firstLine(message);
  if (device !== 'cpu' && /backend|not supported|Failed to load|adapter|EP/i.test(message)) {
    const reason = line.slice(line.search(/Failed to (?:get|load)/i)).slice(-120);
    return new ConfigError(
      `device: the engine cannot use "${device}" on this machine (${reason}), set device to cpu`,
    );
  }
  return new EngineError(`the engine refused: ${line}`);
}

function firstLine(message: string): string {
  return message.split('\n')[0]!.slice(0, 400);
}
