import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { beforeEach, describe, expect, it } from 'vitest';
import { DataError } from '../errors.ts';
import { createRng } from './rng.ts';
import { extractZipMember } from './zip.ts';

const CONTENT = Buffer.from('the same words again and again, '.repeat(500));

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-zip-'));
});

async function extract(zip: Buffer, maxBytes = 1e6): Promise<Buffer> {
  const path = join(folder, 'a.zip');
  await writeFile(path, zip);
  await extractZipMember(path, 'in/b.bin', join(folder, 'b'), { maxBytes });
  return readFile(join(folder, 'b'));
}

describe('extractZipMember', () => {
  it.each([0, 8])('reads a member packed by method %i', async (method) => {
    expect(await extract(zipOf(method))).toEqual(CONTENT);
  });

  it.each<[string, Buffer, RegExp]>([
    ['no zip', Buffer.from('hello'), /not a zip/],
    ['nothing', Buffer.alloc(0), /not a zip/],
    ['another member', zipOf(8, { name: 'in/c.bin' }), /has no member/],
    ['a size that lies', zipOf(8, { claims: 10 }), /unpacks to more than its 10 bytes/],
    ['a size beyond its content', zipOf(8, { claims: 999_999 }), /ends at 16000 of 999999/],
    ['a size above the limit', zipOf(8, { claims: 2_000_000 }), /expected at most 1000000/],
    ['an unknown method', zipOf(12), /packed by method 12/],
  ])('refuses %s', async (_name, zip, message) => {
    await expect(extract(zip)).rejects.toThrow(message);
    await expect(extract(zip)).rejects.toThrow(DataError);
  });

  it('throws nothing but DataError for mutants, and writes no more than the limit', async () => {
    const rng = createRng(1);
    const original = zipOf(8);
    for (let i = 0; i < 300; i++) {
      const zip = Buffer.from(original);
      for (let k = 0; k <= rng.integer(3); k++) {
        const near = rng.next() < 0.7 ? zip.length - 1 - rng.integer(80) : rng.integer(zip.length);
        zip[near] = rng.integer(256);
      }
      const cut = rng.next() < 0.2 ? zip.subarray(0, rng.integer(zip.length)) : zip;
      const result = await extract(cut, 20_000).catch((error: unknown) => error);
      if (Buffer.isBuffer(result)) expect(result.length).toBeLessThanOrEqual(20_000);
      else expect(result).toBeInstanceOf(DataError);
    }
  });
});

/** A zip with one member; `claims` is the size that its directory gives. */
function zipOf(method: number, { name = 'in/b.bin', claims = CONTENT.length } = {}): Buffer {
  const packed = method === 8 ? deflateRawSync(CONTENT) : CONTENT;
  const local = Buffer.alloc(30);
  local.writeUInt32LE(0x04034b50, 0);
  local.writeUInt16LE(name.length, 26);
  const entry = Buffer.alloc(46);
  entry.writeUInt32LE(0x02014b50, 0);
  entry.writeUInt16LE(method, 10);
  entry.writeUInt32LE(packed.length, 20);
  entry.writeUInt32LE(claims, 24);
  entry.writeUInt16LE(name.length, 28);
  const end = Buffer.alloc(22);
  end.writeUInt32LE(0x06054b50, 0);
  end.writeUInt32LE(46 + name.length, 12);
  end.writeUInt32LE(30 + name.length + packed.length, 16);
  const text = Buffer.from(name);
  return Buffer.concat([local, text, packed, entry, text, end]);
}
