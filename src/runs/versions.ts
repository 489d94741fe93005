import { createRequire } from 'node:module';
import { join } from 'node:path';
import { packageRoot } from '../util/package-root.ts';

/** Versions that a run records. */
export function versions(): Record<string, string> {
  const read = createRequire(import.meta.url);
  const own = read(join(packageRoot(), 'package.json')) as { version: string };
  const engine = read('onnxruntime-node/package.json') as { version: string };
  return { whetstone: own.version, node: process.versions.node, onnxruntime: engine.version };
}
