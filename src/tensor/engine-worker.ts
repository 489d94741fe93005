/**
 * The engine's thread, and the only import of onnxruntime. Sessions and kept tensors live here,
 * since `run` blocks the thread that calls it.
 */
import { parentPort, workerData } from 'node:worker_threads';
import * as ort from 'onnxruntime-node';
import { assert } from '../errors.ts';
import { Gate } from './engine-gate.ts';
import type { Feed, HostTensor, Kept, Reply, Request, SessionOptions } from './engine-protocol.ts';
import type { DType } from './graph.ts';

const port = parentPort;
assert(port, 'the engine worker was started outside a worker thread');

// What goes wrong is thrown; the native library would write it to stderr as well.
ort.env.logLevel = 'fatal';

const sessions = new Map<number, ort.InferenceSession>();
const kept = new Map<number, ort.Tensor>();
let next = 1;

// The library is here.
const gate = new Gate(workerData);
gate.leave();

// One request after another: a session's threads are the machine's cores already.
let queue: Promise<void> = Promise.resolve();
port.on('message', ({ id, request }: { id: number; request: Request }) => {
  queue = queue.then(() => answer(id, request));
});

async function answer(id: number, request: Request): Promise<void> {
  // Nobody waits for an answer where the gate is shut.
  if (!gate.enter()) return;
  try {
    const { value, transfer } = await handle(request);
    port!.postMessage({ id, ok: true, value } satisfies Reply, transfer);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    port!.postMessage({ id, ok: false, message } satisfies Reply);
  } finally {
    gate.leave();
  }
}

interface Answer {
  readonly value: unknown;
  readonly transfer: ArrayBuffer[];
}

async function handle(request: Request): Promise<Answer> {
  switch (request.kind) {
    case 'load': {
      const options = sessionOptions(request.options);
      const session =
        typeof request.source === 'string'
          ? await ort.InferenceSession.create(request.source, options)
          : await ort.InferenceSession.create(request.source, options);
      sessions.set(next, session);
      return { value: next++, transfer: [] };
    }
    case 'run':
      return run(request);
    case 'store': {
      kept.set(next, toTensor(request.tensor));
      return { value: next++, transfer: [] };
    }
    case 'drop':
      for (const handle of request.handles) {
        kept.get(handle)?.dispose();
        kept.delete(handle);
      }
      return { value: null, transfer: [] };
    case 'unload':
      await sessions.get(request.session)?.release();
      sessions.delete(request.session);
      return { value: null, transfer: [] };
  }
}

async function run(request: Extract<Request, { kind: 'run' }>): Promise<Answer> {
  const session = sessions.get(request.session);
  assert(session, 'a program was run after it was unloaded');
  const feeds = Object.fromEntries(
    Object.entries(request.feeds).map(([name, feed]) => [name, feedTensor(name, feed)]),
  );
  const results = await session.run(feeds, request.outputs);
  const value: Record<string, HostTensor | Kept> = {};
  const transfer: ArrayBuffer[] = [];
  for (const name of request.outputs) {
    const tensor = results[name]!;
    const shape = [...tensor.dims];
    const dtype = tensor.type as DType;
    if (request.keep.includes(name)) {
      kept.set(next, tensor);
      value[name] = { handle: next++, shape, dtype };
    } else {
      const data = (tensor.data as Float32Array<ArrayBuffer>).slice();
      transfer.push(data.buffer);
      value[name] = { dtype, shape, data };
      tensor.dispose();
    }
  }
  return { value, transfer };
}

function feedTensor(name: string, feed: Feed): ort.Tensor {
  if (!('handle' in feed)) return toTensor(feed);
  const tensor = kept.get(feed.handle);
  assert(tensor, `input "${name}" refers to a tensor that was dropped`);
  return tensor;
}

function toTensor({ dtype, data, shape }: HostTensor): ort.Tensor {
  return new ort.Tensor(dtype as 'float32', data as Float32Array, shape);
}

function sessionOptions({ device, threads, prepack }: SessionOptions) {
  return {
    executionProviders: device === 'cpu' ? ['cpu'] : [device, 'cpu'],
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
    logSeverityLevel: 4 as const,
    extra: {
      session: {
        disable_prepacking: prepack ? '0' : '1',
        // A spinning pool takes the cores from everything else on a shared machine.
        intra_op: { allow_spinning: '0' },
      },
    },
  };
}
