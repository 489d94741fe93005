import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError, DataError } from '../errors.ts';
import { readTable } from './data-file.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-data-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function rowsOf(name: string, content: string | Uint8Array) {
  const path = join(folder, name);
  await writeFile(path, content);
  const rows: [number, Record<string, string>][] = [];
  for await (const { row, values } of readTable(path)) {
    rows.push([row, Object.fromEntries(values)]);
  }
  return rows;
}

describe('readTable', () => {
  it('reads CSV with quotes, line breaks in fields, CRLF and a byte order mark', async () => {
    const csv = '\uFEFFtext,label\r\n"a ""b"",\r\nc",1\r\n\r\nd,0';
    expect(await rowsOf('a.csv', csv)).toEqual([
      [2, { text: 'a "b",\r\nc', label: '1' }],
      [5, { text: 'd', label: '0' }],
    ]);
  });

  it('takes a quote in TSV as an ordinary character', async () => {
    expect(await rowsOf('a.tsv', 'text\tlabel\r\n"so\t1\nsaid "x"\t0\n')).toEqual([
      [2, { text: '"so', label: '1' }],
      [3, { text: 'said "x"', label: '0' }],
    ]);
  });

  it('reads JSON Lines, numbers and booleans as text, nested values left out', async () => {
    const jsonl = '{"text":"a","label":1,"x":[1]}\n\n{"text":"b","label":true,"n":null}';
    expect(await rowsOf('a.jsonl', jsonl)).toEqual([
      [1, { text: 'a', label: '1' }],
      [3, { text: 'b', label: 'true', n: '' }],
    ]);
  });

  it('leaves out a nameless column', async () => {
    expect(await rowsOf('b.csv', ',text\n0,a\n')).toEqual([[2, { text: 'a' }]]);
  });

  it('decodes characters that lie across a chunk border', async () => {
    const text = 'é'.repeat(100_001);
    expect(await rowsOf('c.csv', `a,b\nx,${text}\n`)).toEqual([[2, { a: 'x', b: text }]]);
  });

  it.each([
    ['e.csv', '', /is empty/],
    ['e.jsonl', '\n \n', /is empty/],
    ['h.csv', 'text,label\n', /header row only/],
    ['h.tsv', 'text\tlabel', /header row only/],
    ['n.csv', 'a,b\n1,2\n1,2,3\n', /row 3 has 3 fields, the header has 2/],
    ['n.tsv', 'a\tb\n1\n', /row 2 has 1 fields/],
    ['q.csv', 'a,b\n1,2\n"x,3\n', /row 3 opens a quote/],
    ['i.csv', 'a,b\n1,x"y\n', /row 2 has a quote inside/],
    ['d.csv', 'a,a\n1,2\n', /column "a" twice/],
    ['s.csv', 'text;label\na;1\n', /expected commas/],
    ['s.tsv', 'text,label\na,1\n', /expected tabs/],
    ['j.jsonl', '{"a":1}\n{"a"\n', /row 2 is not JSON/],
    ['k.jsonl', '[1]\n', /row 1 is not a JSON object/],
    ['u.csv', Uint8Array.of(97, 44, 98, 10, 0xff, 44, 49, 10), /not UTF-8/],
    ['z.tsv', 'a\tb\n1\t\0\n', /row 2 holds a NUL/],
    ['f.tsv', `a\tb\n1\t${'x'.repeat(300_000)}\n`, /row 2 column "b" has 300000/],
    ['l.jsonl', 'x'.repeat(1_100_000), /row 1 is longer/],
    ['l.csv', `a,b\n"${'x'.repeat(1_100_000)}`, /row 2 is longer/],
  ])('refuses %s with a sentence', async (name, content, message) => {
    const error = await rowsOf(name, content).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(DataError);
    expect((error as Error).message).toMatch(message);
    expect((error as Error).message).toContain(join(folder, name));
  });

  it('says when a file is missing, a folder, or of an unknown kind', async () => {
    const first = (path: string) => readTable(path).next();
    await expect(first(join(folder, 'none.csv'))).rejects.toThrow(/none.csv does not exist/);
    await expect(first(join(folder, 'a.csv', 'x.csv'))).rejects.toThrow(DataError);
    await expect(first(join(folder, 'a.xlsx'))).rejects.toThrow(ConfigError);
  });

  it('may be left early', async () => {
    const path = join(folder, 'long.csv');
    await writeFile(path, `a,b\n${'1,2\n'.repeat(50_000)}`);
    for await (const { row } of readTable(path)) {
      expect(row).toBe(2);
      break;
    }
  });
});
