/**
 * Dimensions that may be symbols. A `Dim` is a number, or a canonical text: a symbol ("B"), a
 * product with an optional leading coefficient ("5*B*T", factors sorted), where a factor may be a
 * sum in parentheses ("(L+T)"). Symbols get their value from the program's inputs at run time.
 */
import { ShapeError } from '../errors.ts';

export type Dim = number | string;
export type Shape = readonly Dim[];

interface Monomial {
  readonly coefficient: number;
  readonly factors: readonly string[];
}

/** Coefficient and sorted symbolic factors of one dimension. */
export function monomial(dim: Dim): Monomial {
  if (typeof dim === 'number') return { coefficient: dim, factors: [] };
  let coefficient = 1;
  const factors: string[] = [];
  for (const part of splitFactors(dim)) {
    if (/^\d+$/.test(part)) coefficient *= Number(part);
    else factors.push(part);
  }
  return { coefficient, factors: factors.sort() };
}

/** The product of dimensions, in canonical form. */
export function product(dims: Shape): Dim {
  let coefficient = 1;
  const factors: string[] = [];
  for (const dim of dims) {
    const m = monomial(dim);
    coefficient *= m.coefficient;
    factors.push(...m.factors);
  }
  return toDim({ coefficient, factors: factors.sort() });
}

/** The sum of two dimensions, in canonical form. */
export function sum(a: Dim, b: Dim): Dim {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a === 0) return b;
  if (b === 0) return a;
  return `(${[...terms(a), ...terms(b)].sort().join('+')})`;
}

/** `whole / part` when it comes out evenly, undefined otherwise. */
export function quotient(whole: Dim, part: Dim): Dim | undefined {
  const w = monomial(whole);
  const p = monomial(part);
  if (p.coefficient === 0 || w.coefficient % p.coefficient !== 0) return undefined;
  const rest = [...w.factors];
  for (const factor of p.factors) {
    const at = rest.indexOf(factor);
    if (at < 0) return undefined;
    rest.splice(at, 1);
  }
  return toDim({ coefficient: w.coefficient / p.coefficient, factors: rest });
}

/** The summands of a dimension that is a sum, or the dimension itself. */
export function terms(dim: Dim): Dim[] {
  if (typeof dim === 'number' || !isSum(dim)) return [dim];
  const out: Dim[] = [];
  let depth = 0;
  let start = 1;
  for (let i = 1; i < dim.length; i++) {
    const c = dim[i];
    if (c === '(') depth++;
    if ((c === '+' && depth === 0) || (c === ')' && depth === 0)) {
      const term = dim.slice(start, i);
      out.push(/^\d+$/.test(term) ? Number(term) : term);
      start = i + 1;
    } else if (c === ')') depth--;
  }
  return out;
}

/** True for "(a+b)" as a whole. */
export function isSum(dim: string): boolean {
  return dim.startsWith('(') && splitFactors(dim).length === 1;
}

/** The value of a dimension when its symbols have values. @throws ShapeError for an unknown one */
export function sizeOf(dim: Dim, symbols: ReadonlyMap<string, number>): number {
  if (typeof dim === 'number') return dim;
  const known = symbols.get(dim);
  if (known !== undefined) return known;
  if (isSum(dim)) return terms(dim).reduce<number>((total, d) => total + sizeOf(d, symbols), 0);
  const { coefficient, factors } = monomial(dim);
  if (factors.length === 1 && coefficient === 1) {
    throw new ShapeError(`no input has the dimension "${dim}", so its size is unknown`);
  }
  return factors.reduce((total, factor) => total * sizeOf(factor, symbols), coefficient);
}

/** Numpy's broadcasting of two shapes. @throws ShapeError when they do not fit */
export function broadcast(a: Shape, b: Shape, where: string): Shape {
  const rank = Math.max(a.length, b.length);
  return Array.from({ length: rank }, (_, i) => {
    const x = a[i - rank + a.length] ?? 1;
    const y = b[i - rank + b.length] ?? 1;
    if (x === y || y === 1) return x;
    if (x === 1) return y;
    throw new ShapeError(`${where}: shapes do not broadcast, left ${show(a)}, right ${show(b)}`);
  });
}

export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dim, i) => dim === b[i]);
}

/** A shape as people write it: "[B, 5, 576]". */
export function show(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

function toDim({ coefficient, factors }: Monomial): Dim {
  if (factors.length === 0 || coefficient === 0) return coefficient;
  return coefficient === 1 ? factors.join('*') : `${coefficient}*${factors.join('*')}`;
}

function splitFactors(dim: string): string[] {
  const out: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i <= dim.length; i++) {
    const c = dim[i];
    if (c === '(') depth++;
    else if (c === ')') depth--;
    else if (c === undefined || (c === '*' && depth === 0)) {
      out.push(dim.slice(start, i));
      start = i + 1;
    }
  }
  return out;
}
