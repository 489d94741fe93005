import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';
import { WeightsError } from '../errors.ts';
import { openSafetensors, openSafetensorsIndex } from './safetensors.ts';

const fixtures = fileURLToPath(new URL('../../test/fixtures/weights/', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'whetstone-safetensors-'));
const path = join(folder, 'model.safetensors');
afterAll(() => rmSync(folder, { recursive: true }));

test('every readable type reads as PyTorch reads it', async () => {
  const file = await openSafetensors(join(fixtures, 'plain.safetensors'));
  const expected = readFileSync(join(fixtures, 'plain.f32'));
  const shapes: [string, number[]][] = JSON.parse(
    readFileSync(join(fixtures, 'plain.json'), 'utf8'),
  );
  let at = 0;
  for (const [name, shape] of shapes) {
    expect(file.tensors.get(name)?.shape).toEqual(shape);
    const bytes = Buffer.from((await file.read(name)).buffer);
    expect(bytes.equals(expected.subarray(at, at + bytes.length)), name).toBe(true);
    at += bytes.length;
  }
  expect(at).toBe(expected.length);
  expect(Object.fromEntries(file.metadata)).toEqual({ format: 'pt', ключ: 'é' });
  await file.close();
});

test('64-bit integers are listed but not read', async () => {
  const file = await openSafetensors(join(fixtures, 'plain.safetensors'));
  expect(file.tensors.get('i64')).toMatchObject({ type: 'I64', shape: [3], sizeBytes: 24 });
  await expect(file.read('i64')).rejects.toThrow('stored as I64, which cannot be read');
  await file.close();
});

test('shards are read through their index', async () => {
  const file = await openSafetensorsIndex(
    join(fixtures, 'sharded', 'model.safetensors.index.json'),
  );
  expect(file.paths).toHaveLength(2);
  expect([...file.tensors.keys()]).toEqual(['a', 'b', 'c']);
  expect([...(await file.read('c'))]).toEqual([3, 3, 3, 3]);
  await file.close();
});

test('a file cut off at any byte, or longer by one, is refused', async () => {
  const whole = readFileSync(join(fixtures, 'plain.safetensors'));
  for (let end = 0; end < whole.length; end++) {
    writeFileSync(path, whole.subarray(0, end));
    await expect(openSafetensors(path), `cut at ${end}`).rejects.toThrow(WeightsError);
  }
  writeFileSync(path, Buffer.concat([whole, Buffer.alloc(1)]));
  await expect(openSafetensors(path)).rejects.toThrow('its tensors end at byte');
});

const f32 = (shape: string, offsets: string) =>
  `{"dtype":"F32","shape":${shape},"data_offsets":${offsets}}`;

// Header, what the message says; the data are 16 bytes.
const hostile: Record<string, [string, string]> = {
  'no tensors': ['{}', 'its tensors end at byte'],
  'an array': ['[]', 'does not begin with {'],
  'brackets without end': [`{"w":${'['.repeat(100_000)}`, 'expected {'],
  'a tensor twice': [
    `{"w":${f32('[2]', '[0,8]')},"w":${f32('[2]', '[8,16]')}}`,
    '"w" stands twice',
  ],
  'metadata twice': ['{"__metadata__":{},"__metadata__":{}}', 'stands twice'],
  'a metadata key twice': ['{"__metadata__":{"a":"b","a":"c"}}', 'metadata key "a" stands twice'],
  'metadata that is not text': ['{"__metadata__":{"a":1}}', 'expected "'],
  'a field twice': ['{"w":{"dtype":"F32","dtype":"I8"}}', 'field "dtype" twice'],
  'a missing field': ['{"w":{"dtype":"F32","shape":[4]}}', 'lacks'],
  'one offset': [`{"w":${f32('[4]', '[16]')}}`, 'lacks'],
  'three offsets': [`{"w":${f32('[4]', '[0,16,32]')}}`, 'at most 2 numbers'],
  'a negative dimension': [`{"w":${f32('[-4]', '[0,16]')}}`, 'expected a whole number'],
  'a fraction': [`{"w":${f32('[4.0]', '[0,16]')}}`, 'expected ]'],
  'an exponent': [`{"w":${f32('[4e0]', '[0,16]')}}`, 'expected ]'],
  'a dimension of 2^53': [`{"w":${f32(`[${2n ** 53n}]`, '[0,16]')}}`, 'expected a whole number'],
  'a number of a million digits': [
    `{"w":${f32(`[${'9'.repeat(1e6)}]`, '[0,16]')}}`,
    'expected a whole',
  ],
  'dimensions that overflow': [`{"w":${f32('[4294967296,4294967296]', '[0,16]')}}`, 'overflow'],
  'an overflow behind a zero': [`{"w":${f32('[0,4294967296,4294967296]', '[0,0]')}}`, 'overflow'],
  '33 dimensions': [`{"w":${f32(`[${Array(33).fill(1)}]`, '[0,4]')}}`, 'at most 32 numbers'],
  'offsets that do not fit the shape': [
    `{"w":${f32('[4]', '[0,12]')}}`,
    'do not hold the 16 bytes',
  ],
  'offsets in reverse': [`{"w":${f32('[4]', '[16,0]')}}`, 'do not hold'],
  'offsets beyond the file': [`{"w":${f32('[4]', '[16,32]')}}`, 'ends at byte'],
  'a gap before the first': [`{"w":${f32('[2]', '[8,16]')}}`, 'belong to no tensor'],
  'bytes after the last': [`{"w":${f32('[2]', '[0,8]')}}`, 'its tensors end at byte'],
  overlaps: [`{"w":${f32('[4]', '[0,16]')},"v":${f32('[2]', '[8,16]')}}`, 'overlap'],
  'an unknown type': ['{"w":{"dtype":"F4","shape":[4],"data_offsets":[0,16]}}', 'the type "F4"'],
  'a GGUF type': ['{"w":{"dtype":"Q8_0","shape":[32],"data_offsets":[0,34]}}', 'the type "Q8_0"'],
  'a type from the prototype': [
    '{"w":{"dtype":"constructor","shape":[],"data_offsets":[0,16]}}',
    'the type "constructor"',
  ],
  'a text without end': ['{"w', 'a text does not end'],
  'a wrong escape': ['{"\\x":{}}', 'wrong escape'],
  'something after the end': [`{"w":${f32('[4]', '[0,16]')}}}`, 'expected its end'],
};

test.each(Object.entries(hostile))('refuses %s', async (_, [header, message]) => {
  writeFileSync(path, fileOf(header));
  const error = await openSafetensors(path).catch((e) => e);
  expect(error).toBeInstanceOf(WeightsError);
  expect(error.message).toContain(message);
  expect(error.message.length).toBeLessThan(400);
});

test.each([2n ** 62n, 2n ** 64n - 1n, 100_000_000n])(
  'refuses a header of %d bytes',
  async (length) => {
    writeFileSync(path, fileOf('{}', length));
    await expect(openSafetensors(path)).rejects.toThrow(`announces a header of ${length} bytes`);
  },
);

test('refuses a real header of 20 MB', async () => {
  writeFileSync(path, fileOf(`{"__metadata__":{"a":"${'x'.repeat(2e7)}"}}`));
  await expect(openSafetensors(path)).rejects.toThrow('at most 16777216 fit');
});

test('names from a prototype are ordinary names', async () => {
  writeFileSync(path, fileOf(`{"__proto__":${f32('[4]', '[0,16]')}}`));
  const file = await openSafetensors(path);
  expect(file.tensors.has('__proto__')).toBe(true);
  await file.close();
});

const shards: Record<string, [string, string]> = {
  'a parent folder': [
    '{"weight_map":{"w":"../x.safetensors"}}',
    'expected the name of a .safetensors',
  ],
  'an absolute path': ['{"weight_map":{"w":"/x.safetensors"}}', 'expected the name of'],
  'a backslash': ['{"weight_map":{"w":"..\\\\x.safetensors"}}', 'expected the name of'],
  'a NUL': ['{"weight_map":{"w":"x\\u0000.safetensors"}}', 'expected the name of'],
  'another kind of file': ['{"weight_map":{"w":"passwd"}}', 'expected the name of'],
  'a nested shard': [
    `{"weight_map":{"w":${'['.repeat(90_000)}${']'.repeat(90_000)}}}`,
    'of type object',
  ],
  'a missing shard': ['{"weight_map":{"w":"absent.safetensors"}}', 'shard of the model is missing'],
  'no map': ['{"metadata":{}}', 'expected a weight_map'],
  'a map that is an array': ['{"weight_map":["x.safetensors"]}', 'expected a weight_map'],
  'no shards': ['{"weight_map":{}}', 'names 0 shards'],
  null: ['null', 'expected a weight_map'],
  'no JSON': ['{', 'expected JSON'],
  'millions of brackets': ['['.repeat(2e6), 'more than 1048576 brackets'],
  'too many shards': [
    JSON.stringify({
      weight_map: Object.fromEntries(
        Array.from({ length: 513 }, (_, i) => [i, `${i}.safetensors`]),
      ),
    }),
    'names 513 shards',
  ],
};

test.each(Object.entries(shards))('an index with %s is refused', async (_, [index, message]) => {
  const error = await openSafetensorsIndex(writeIndex(folder, index)).catch((e) => e);
  expect(error).toBeInstanceOf(WeightsError);
  expect(error.message).toContain(message);
});

test('an index that names a tensor its shard lacks is refused', async () => {
  writeFileSync(path, fileOf(`{"w":${f32('[4]', '[0,16]')}}`));
  const index = writeIndex(folder, '{"weight_map":{"v":"model.safetensors"}}');
  await expect(openSafetensorsIndex(index)).rejects.toThrow('holds tensor "v", it does not');
});

test.skipIf(process.platform === 'win32')(
  'a shard that links out of its folder is refused (needs a POSIX system)',
  async () => {
    const [inside, outside] = [join(folder, 'inside'), join(folder, 'outside.safetensors')];
    mkdirSync(inside);
    writeFileSync(outside, fileOf(`{"w":${f32('[4]', '[0,16]')}}`));
    symlinkSync(outside, join(inside, 'x.safetensors'));
    const index = writeIndex(inside, '{"weight_map":{"w":"x.safetensors"}}');
    await expect(openSafetensorsIndex(index)).rejects.toThrow('leads out of its folder');
  },
);

test.skipIf(process.platform === 'win32')(
  'links of the Hugging Face cache are followed (needs a POSIX system)',
  async () => {
    const [blobs, snapshot] = [join(folder, 'blobs'), join(folder, 'snapshots', 'abc')];
    mkdirSync(blobs);
    mkdirSync(snapshot, { recursive: true });
    writeFileSync(join(blobs, '123'), fileOf(`{"w":${f32('[4]', '[0,16]')}}`));
    symlinkSync('../../blobs/123', join(snapshot, 'x.safetensors'));
    const index = writeIndex(snapshot, '{"weight_map":{"w":"x.safetensors"}}');
    const file = await openSafetensorsIndex(index);
    expect([...(await file.read('w'))]).toEqual([0, 0, 0, 0]);
    await file.close();
  },
);

function writeIndex(inFolder: string, json: string): string {
  const index = join(inFolder, 'model.safetensors.index.json');
  mkdirSync(dirname(index), { recursive: true });
  writeFileSync(index, json);
  return index;
}

/** A file with this header, true or said to be of another length, and 16 bytes of data. */
function fileOf(header: string, length = BigInt(Buffer.byteLength(header))): Buffer {
  const prefix = Buffer.alloc(8);
  prefix.writeBigUInt64LE(length);
  return Buffer.concat([prefix, Buffer.from(header), Buffer.alloc(16)]);
}
