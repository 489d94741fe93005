import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { WeightsError } from '../errors.ts';
import { openWeights } from './open-weights.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/weights/', import.meta.url));
let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'whetstone-open-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const put = (fixture: string, name: string) => {
  copyFileSync(join(fixtures, fixture), join(folder, name));
  return join(folder, name);
};

test.each([
  ['types.gguf', 'gguf', 13],
  ['plain.safetensors', 'safetensors', 13],
  ['sharded/model.safetensors.index.json', 'safetensors', 3],
  ['sharded', 'safetensors', 3],
])('opens %s', async (name, format, count) => {
  const file = await openWeights(join(fixtures, name));
  expect(file.format).toBe(format);
  expect(file.tensors.size).toBe(count);
  await file.close();
});

test('knows a file by how it begins, not by its name', async () => {
  const file = await openWeights(put('types.gguf', 'weights.bin'));
  expect(file.format).toBe('gguf');
  await file.close();
});

test('a folder: the single file before the shards, a GGUF that is alone last', async () => {
  put('types.gguf', 'a.gguf');
  const gguf = await openWeights(folder);
  expect(gguf.format).toBe('gguf');
  await gguf.close();
  put('sharded/model.safetensors.index.json', 'model.safetensors.index.json');
  put('plain.safetensors', 'model.safetensors');
  const single = await openWeights(folder);
  expect(single.paths).toEqual([join(folder, 'model.safetensors')]);
  await single.close();
});

test.each<[string, () => string, string]>([
  ['nothing there', () => join(folder, 'absent'), 'no such model, check the path'],
  ['an empty folder', () => folder, 'expected model.safetensors'],
  ['a PyTorch folder', () => wrote('pytorch_model.bin', 'PK') && folder, 'PyTorch pickle only'],
  [
    'two GGUF files',
    () => put('types.gguf', 'a.gguf') && put('types.gguf', 'b.gguf') && folder,
    '2 GGUF',
  ],
  ['an empty file', () => wrote('x', ''), 'expected a GGUF or safetensors file'],
  ['an empty GGUF file', () => wrote('x.gguf', ''), 'not a sound GGUF file'],
  ['an empty safetensors file', () => wrote('x.safetensors', ''), 'it has 0 bytes only'],
  ['a pickle', () => wrote('x.pt', 'PK\x03\x04'), 'take the safetensors version'],
  ['a text', () => wrote('x.txt', 'hello, this is text'), 'expected a GGUF or safetensors'],
  ['a folder in the place of a file', () => asFolder('model.safetensors'), 'not a regular file'],
])('refuses %s', async (_, make, message) => {
  const error = await openWeights(make()).catch((e) => e);
  expect(error).toBeInstanceOf(WeightsError);
  expect(error.message).toContain(message);
});

test.skipIf(process.platform === 'win32')(
  'a named pipe is refused and not waited for (needs a POSIX system)',
  async () => {
    const pipe = join(folder, 'model.safetensors');
    execFileSync('mkfifo', [pipe]);
    await expect(openWeights(pipe)).rejects.toThrow('not a regular file');
  },
);

function wrote(name: string, data: string): string {
  writeFileSync(join(folder, name), data, 'latin1');
  return join(folder, name);
}

function asFolder(name: string): string {
  mkdirSync(join(folder, name));
  return folder;
}
