/**
 * Damaged and hostile data files: 10,000 mutants of each format must end in rows or in a typed
 * error, never in another exception, and never wait for ever.
 *
 * A mutant is a valid file with bytes changed, cut out, doubled, or format characters put in. Seeds
 * are fixed, so a failure repeats; `WHETSTONE_FUZZ_SEED` tries others.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { WhetstoneError } from '../src/errors.ts';
import { loadTask, readTable } from '../src/tasks/index.ts';
import { createRng, type Rng } from '../src/util/rng.ts';

const mutants = 10_000;
const seed = process.env.WHETSTONE_FUZZ_SEED ?? '1';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-fuzz-'));
});
afterAll(() => rm(folder, { recursive: true }));

const originals: Readonly<Record<string, string>> = {
  csv: 'id,text,label\r\n1,"fine, really",1\r\n2,"said ""no""\nand left",0\r\n3,café,1\r\n4,😀 ok,0\r\n5,no,0\r\n6,yes,1\r\n',
  tsv: 'text\tlabel\n"fine, really\t1\nsaid "no"\t0\ncafé\t1\n😀 ok\t0\nno\t0\nyes\t1\n',
  jsonl:
    '{"text":"fine, \\"really\\"","label":1,"meta":{"a":[1,2]}}\n{"text":"no\\u00e9","label":0}\n\n' +
    '{"text":"café","label":1}\n{"text":"😀","label":0}\n{"text":"x","label":0}\n{"text":"y","label":1}\n',
};
/** What formats are made of, and what readers trip over. */
const spice = ['"', '""', '\t', ',', ';', '\r', '\n', '\r\n', '\0', '\uFEFF', '{', '}', '[[[[', ':', '\\', '\\u', '1e999', 'null', '__proto__', '\u2028', 'é', '😀']; // biome-ignore format: one list

describe.each(Object.keys(originals))('%s', (ending) => {
  it(`survives ${mutants} mutants`, async () => {
    const rng = createRng(`${seed} ${ending}`);
    const original = Buffer.from(originals[ending]!);
    const path = join(folder, `mutant.${ending}`);
    const outcomes = { rows: 0, refused: 0 };
    for (let i = 0; i < mutants; i++) {
      const mutant = mutate(original, rng);
      await writeFile(path, mutant);
      const shown = `mutant ${i}: ${JSON.stringify(mutant.toString('latin1'))}`;
      outcomes[await outcomeOf(() => readAll(path), shown)]++;
      if (i % 10 === 0) await outcomeOf(() => loadMutant(path), shown);
    }
    // Both must happen, or the mutants test one side only.
    expect(outcomes.rows).toBeGreaterThan(mutants / 100);
    expect(outcomes.refused).toBeGreaterThan(mutants / 100);
  }, 300_000);
});

async function readAll(path: string): Promise<void> {
  let previous = 0;
  for await (const { row, values } of readTable(path)) {
    expect(row).toBeGreaterThan(previous);
    for (const value of values.values()) expect(typeof value).toBe('string');
    previous = row;
  }
}

async function loadMutant(path: string): Promise<void> {
  const task = await loadTask(
    {
      data: path,
      labels: { '0': 'bad', '1': 'good' },
      split: { train: 1, validation: 1, test: 1 },
    },
    { baseFolder: folder, seed: 1 },
  );
  for (const { input, label } of [...task.train, ...task.validation, ...task.test.open()]) {
    expect(input.trim()).not.toBe('');
    expect(task.classes[label]).toBeDefined();
  }
}

/** Runs the work; anything but success or a one-line typed error fails the test. */
async function outcomeOf(work: () => Promise<void>, shown: string): Promise<'rows' | 'refused'> {
  try {
    await work();
    return 'rows';
  } catch (error) {
    const isTyped = error instanceof WhetstoneError && !error.message.startsWith('internal');
    if (!isTyped) throw new Error(shown, { cause: error });
    expect(error.message, shown).not.toMatch(/[\r\n\0]/);
    expect(error.message.length, shown).toBeLessThan(1000);
    return 'refused';
  }
}

/** One to four changes. */
function mutate(original: Buffer, rng: Rng): Buffer {
  let bytes = original;
  for (let changes = 1 + rng.integer(4); changes > 0; changes--) bytes = change(bytes, rng);
  return bytes;
}

function change(bytes: Buffer, rng: Rng): Buffer {
  const at = rng.integer(bytes.length + 1);
  const to = Math.min(bytes.length, at + rng.integer(12));
  const [before, piece, after] = [
    bytes.subarray(0, at),
    bytes.subarray(at, to),
    bytes.subarray(to),
  ];
  switch (rng.integer(6)) {
    case 0:
      return Buffer.concat([before, Buffer.of(rng.integer(256)), bytes.subarray(at + 1)]);
    case 1:
      return Buffer.concat([before, after]);
    case 2:
      return before;
    case 3:
      return Buffer.concat([before, piece, piece, after]);
    case 4:
      return Buffer.concat([
        before,
        Buffer.from(spice[rng.integer(spice.length)]!),
        bytes.subarray(at),
      ]);
    default: {
      const times = 1 + rng.integer(300);
      const repeated = spice[rng.integer(spice.length)]!.repeat(times);
      return Buffer.concat([before, Buffer.from(repeated), bytes.subarray(at)]);
    }
  }
}
