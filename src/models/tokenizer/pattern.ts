/**
 * Matching of patterns within a budget. A pattern comes from a file that may be hostile, or from a
 * user in a hurry, so it never becomes a regular expression of the JavaScript engine (whose
 * backtracking nobody can stop): this matcher backtracks too, but counts its steps and gives up with
 * a WeightsError. The patterns of real tokenizers take a few steps for each character.
 */
import { WeightsError } from '../../errors.ts';
import { type CharTest, codePointBefore, isWordChar, width } from './char-class.ts';
import { type PatternNode, parsePattern, type RepeatNode } from './pattern-parser.ts';

/** Calls `found` with the bounds of every match, from left to right; empty ones too. */
export type Pattern = (text: string, found: (start: number, end: number) => void) => void;

/** From a position to the end of the match, or -1. */
type Matcher = (at: number) => number;

const STEPS_PER_CHARACTER = 512;
const FREE_STEPS = 65_536;
const MAX_RECURSION = 1500;
const MAX_NODES = 3000;

export interface TestOptions {
  /** Steps that a text may take, beside 512 for each of its characters. @default 65,536 */
  readonly freeSteps?: number;
  /** Whether ^ and $ stand at the ends of lines or of the text. @default line */
  readonly anchors?: 'line' | 'text';
}

interface Machine {
  text: string;
  steps: number;
  depth: number;
  nodes: number;
  readonly source: string;
  readonly anchors: 'line' | 'text';
}

const accept: Matcher = (at) => at;

/** @throws WeightsError when the pattern cannot be read; the pattern throws it when it is too slow */
export function compilePattern(source: string): Pattern {
  const start = starter(source, {});
  return (text, found) => {
    const matchAt = start(text);
    for (let at = 0; at < text.length; ) {
      const end = matchAt(at);
      if (end >= 0) found(at, end);
      at = end > at ? end : at + width(text.codePointAt(at)!);
    }
  };
}

/**
 * Whether the pattern matches anywhere in a text, its end included.
 * @throws WeightsError as `compilePattern` does
 */
export function compileTest(source: string, options: TestOptions = {}): (text: string) => boolean {
  const start = starter(source, options);
  return (text) => {
    const matchAt = start(text);
    for (let at = 0; at <= text.length; at += width(text.codePointAt(at) ?? 0)) {
      if (matchAt(at) >= 0) return true;
    }
    return false;
  };
}

/** The compiled pattern; given a text, it matches at one position after another. */
function starter(source: string, options: TestOptions): (text: string) => Matcher {
  const { freeSteps = FREE_STEPS, anchors = 'line' } = options;
  const machine: Machine = { text: '', steps: 0, depth: 0, nodes: 0, source, anchors };
  const root = compile(parsePattern(source), accept, machine);
  return (text) => {
    machine.text = text;
    machine.depth = 0;
    machine.steps = freeSteps + STEPS_PER_CHARACTER * text.length;
    return (at) => guarded(root, at, source);
  };
}

/** A pattern of very many parts may still exhaust the stack: that is too slow as well. */
function guarded(root: Matcher, at: number, source: string): number {
  try {
    return root(at);
  } catch (error) {
    throw error instanceof RangeError ? tooSlow(source) : error;
  }
}

function spend(machine: Machine, steps: number): void {
  machine.steps -= steps;
  if (machine.steps < 0) throw tooSlow(machine.source);
}

function tooSlow(source: string): WeightsError {
  return new WeightsError(
    `tokenizer: the pattern ${JSON.stringify(source.slice(0, 80))} takes too many steps on this text`,
  );
}

function compile(node: PatternNode, next: Matcher, machine: Machine): Matcher {
  if (++machine.nodes > MAX_NODES) {
    throw new WeightsError(
      `tokenizer: the pattern ${JSON.stringify(machine.source.slice(0, 80))} repeats too much`,
    );
  }
  switch (node.kind) {
    case 'char':
      return one(node.test, next, machine);
    case 'sequence':
      return node.items.reduceRight((rest, item) => compile(item, rest, machine), next);
    case 'either':
      return firstOf(
        node.options.map((option) => compile(option, next, machine)),
        machine,
      );
    case 'look': {
      const inner = compile(node.item, accept, machine);
      return (at) => (inner(at) >= 0 !== node.negated ? next(at) : -1);
    }
    case 'start':
      return (at) => (at === 0 || isLineEnd(machine, at - 1) ? next(at) : -1);
    case 'end':
      return (at) => (at === machine.text.length || isLineEnd(machine, at) ? next(at) : -1);
    case 'boundary':
      return (at) => (isBoundary(machine.text, at) !== node.negated ? next(at) : -1);
    case 'repeat':
      return node.item.kind === 'char'
        ? manyChars(node, node.item.test, next, machine)
        : manyGroups(node, next, machine);
  }
}

function isLineEnd({ text, anchors }: Machine, at: number): boolean {
  return anchors === 'line' && text[at] === '\n';
}

/** Whether exactly one of the characters beside a position belongs to a word. */
function isBoundary(text: string, at: number): boolean {
  const before = at > 0 && isWordChar(codePointBefore(text, at));
  const after = at < text.length && isWordChar(text.codePointAt(at)!);
  return before !== after;
}

function one(test: CharTest, next: Matcher, machine: Machine): Matcher {
  return (at) => {
    spend(machine, 1);
    if (at >= machine.text.length) return -1;
    const point = machine.text.codePointAt(at)!;
    return test(point) ? next(at + width(point)) : -1;
  };
}

function firstOf(options: readonly Matcher[], machine: Machine): Matcher {
  return (at) => {
    spend(machine, 1);
    for (const option of options) {
      const end = option(at);
      if (end >= 0) return end;
    }
    return -1;
  };
}

function manyChars(node: RepeatNode, test: CharTest, next: Matcher, machine: Machine): Matcher {
  const { min, max, mode } = node;
  return (at) => {
    const { text } = machine;
    let count = 0;
    let end = at;
    while (count < max && end < text.length) {
      if (mode === 'lazy' && count >= min) {
        const done = next(end);
        if (done >= 0) return done;
      }
      const point = text.codePointAt(end)!;
      if (!test(point)) break;
      end += width(point);
      count++;
    }
    spend(machine, count + 1);
    if (count < min) return -1;
    if (mode !== 'greedy') return next(end);
    for (; ; count--) {
      const done = next(end);
      if (done >= 0 || count === min) return done;
      spend(machine, 1);
      end -= width(codePointBefore(text, end));
    }
  };
}

function manyGroups(node: RepeatNode, next: Matcher, machine: Machine): Matcher {
  const { item, min, max, mode } = node;
  if (mode === 'possessive') {
    const alone = manyGroups({ ...node, mode: 'greedy' }, accept, machine);
    return (at) => {
      const end = alone(at);
      return end < 0 ? -1 : next(end);
    };
  }
  let tail: Matcher = next;
  if (max === Number.POSITIVE_INFINITY) {
    tail = loop(item, next, mode === 'lazy', machine);
  } else {
    for (let i = min; i < max; i++) {
      tail = choose(compile(item, tail, machine), next, mode === 'lazy', machine);
    }
  }
  for (let i = 0; i < min; i++) tail = compile(item, tail, machine);
  return tail;
}

function choose(body: Matcher, next: Matcher, lazy: boolean, machine: Machine): Matcher {
  return firstOf(lazy ? [next, body] : [body, next], machine);
}

/** Any number of a group; each turn is one level of recursion, so their number is bounded. */
function loop(item: PatternNode, next: Matcher, lazy: boolean, machine: Machine): Matcher {
  if (shortest(item) === 0) {
    throw new WeightsError(
      `tokenizer: the pattern ${JSON.stringify(machine.source.slice(0, 80))} repeats an empty group`,
    );
  }
  const again: Matcher = (at) => {
    if (++machine.depth > MAX_RECURSION) throw tooSlow(machine.source);
    const end = turn(at);
    machine.depth--;
    return end;
  };
  const turn = choose(compile(item, again, machine), next, lazy, machine);
  return again;
}

function shortest(node: PatternNode): number {
  switch (node.kind) {
    case 'char':
      return 1;
    case 'sequence':
      return node.items.reduce((sum, item) => sum + shortest(item), 0);
    case 'either':
      return Math.min(...node.options.map(shortest));
    case 'repeat':
      return node.min * shortest(node.item);
    default:
      return 0;
  }
}
