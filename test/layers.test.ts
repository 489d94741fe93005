/** Rooms of src/ import only rooms above them in ARCHITECTURE.md's list. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const SRC = join(ROOT, 'src');
const IMPORT = /(?:from|import|import\()\s*['"](\.{1,2}\/[^'"]+)['"]/g;

/** The rooms, lowest first, as the first code block of ARCHITECTURE.md lists them. */
function rooms(): string[] {
  const block = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8').split('```')[1] ?? '';
  return [...block.matchAll(/^ {2}([a-z]+)(?:\/|\.ts) /gm)].map((match) => match[1]!);
}

function roomOf(path: string): string {
  return relative(SRC, path).split(sep)[0]!.replace(/\.ts$/, '');
}

/** Edges that go from a room to a later one, as "file -> room". */
function upwardEdges(order: string[], files: { path: string; text: string }[]): string[] {
  const edges: string[] = [];
  for (const { path, text } of files) {
    for (const [, target] of text.matchAll(IMPORT)) {
      const to = roomOf(resolve(dirname(path), target!));
      if (order.indexOf(to) > order.indexOf(roomOf(path)) || !order.includes(to)) {
        edges.push(`${relative(SRC, path)} -> ${to}`);
      }
    }
  }
  return edges;
}

const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && name !== 'index.ts')
  .map((name) => ({ path: join(SRC, name), text: readFileSync(join(SRC, name), 'utf8') }));

it('lists every room', () => {
  const order = rooms();
  expect(order.length).toBeGreaterThan(10);
  expect(
    [...new Set(files.map(({ path }) => roomOf(path)))].filter((r) => !order.includes(r)),
  ).toEqual([]);
});

it('imports only rooms above', () => {
  expect(files.length).toBeGreaterThan(50);
  expect(upwardEdges(rooms(), files)).toEqual([]);
});

it('would notice an upward import', () => {
  const text = "import { x } from '../cli/main.ts';\n";
  expect(upwardEdges(rooms(), [{ path: join(SRC, 'util/x.ts'), text }])).toEqual([
    'util/x.ts -> cli',
  ]);
});
