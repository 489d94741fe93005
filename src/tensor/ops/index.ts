/** The op table: every op by its name, for checks that go over all of them. */

import type { Op } from '../graph.ts';
import * as attention from './attention.ts';
import * as blockMatmul from './block-matmul.ts';
import * as elementwise from './elementwise.ts';
import * as matmul from './matmul.ts';
import * as neural from './neural.ts';
import * as recompute from './recompute.ts';
import * as reduce from './reduce.ts';
import * as shape from './shape.ts';
import * as topK from './top-k.ts';

const rooms = [elementwise, reduce, shape, matmul, blockMatmul, neural, attention, recompute, topK];

/** All ops with a record, by name. */
export const ops: ReadonlyMap<string, Op> = new Map(
  rooms
    .flatMap((room) => Object.entries(room))
    .filter(([name]) => name.endsWith('Op'))
    .map(([, op]) => [(op as Op).name, op as Op]),
);
