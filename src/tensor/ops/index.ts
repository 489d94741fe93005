/** The op table: every op by its name, for checks that go over all of them. */

import type { Op } from '../graph.ts';
import * as attention from './attention.ts';
import * as elementwise from './elementwise.ts';
import * as matmul from './matmul.ts';
import * as neural from './neural.ts';
import * as recompute from './recompute.ts';
import * as reduce from './reduce.ts';
import * as shape from './shape.ts';

const rooms = [elementwise, reduce, shape, matmul, neural, attention, recompute];

/** All ops with a record, by name. */
export const ops: ReadonlyMap<string, Op> = new Map(
  rooms
    .flatMap((room) => Object.entries(room))
    .filter(([name]) => name.endsWith('Op'))
    .map(([, op]) => [(op as Op).name, op as Op]),
);
