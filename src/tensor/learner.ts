/**
 * One program that gives a loss, whatever else is to be watched, and the gradients of the
 * parameters. Which optimiser turns them into new parameters is the caller's.
 */
import { ShapeError } from '../errors.ts';
import type { LoadOptions } from './engine.ts';
import {
  type Engine,
  type Executable,
  float32,
  floats,
  type HostTensor,
  type Kept,
} from './engine.ts';
import { grad } from './grad.ts';
import type { InputAttributes, Tensor } from './graph.ts';
import { emitProgram } from './onnx.ts';
import type { Parameters } from './optimizers.ts';

export interface Learner {
  readonly executable: Executable;
  /** Scalars by name, and the gradients of the parameters at these values; feeds may be too many. */
  run(
    parameters: Parameters,
    feeds: Readonly<Record<string, HostTensor | Kept>>,
  ): Promise<{ quantities: Record<string, number>; gradients: Parameters }>;
  unload(): Promise<void>;
}

export interface LearnerOptions extends LoadOptions {
  /** Scalars; the one named `loss` is differentiated. */
  readonly quantities: Readonly<Record<string, Tensor>> & { readonly loss: Tensor };
  /** Inputs that are trained, of fixed shapes. */
  readonly parameters: readonly Tensor[];
}

/** @throws ShapeError when a quantity is no scalar or a parameter no input of fixed shape */
export async function loadLearner(
  engine: Engine,
  { quantities, parameters, ...options }: LearnerOptions,
): Promise<Learner> {
  const shapes = new Map(parameters.map((p) => [nameOf(p), p.shape as readonly number[]]));
  for (const [name, { shape }] of Object.entries(quantities)) {
    if (shape.length > 0) throw new ShapeError(`learner: "${name}" must be a scalar, reduce it`);
  }
  const gradients = grad(quantities.loss, parameters);
  const named = [...shapes.keys()].map((name, i) => [`d.${name}`, gradients[i]!]);
  const executable = await engine.load(
    emitProgram({ ...quantities, ...Object.fromEntries(named) }),
    options,
  );
  // What the loss does not use is no input of the program.
  const used = new Set(executable.program.inputs.map(({ name }) => name));
  return {
    executable,
    async run(values, feeds) {
      const given: Record<string, HostTensor | Kept> = { ...feeds };
      for (const [name, shape] of shapes) given[name] = float32(values[name]!, shape);
      const needed = Object.entries(given).filter(([name]) => used.has(name));
      const out = await executable.run(Object.fromEntries(needed));
      return {
        quantities: pick(Object.keys(quantities), (name) => floats(out[name])[0]!),
        gradients: pick([...shapes.keys()], (name) => floats(out[`d.${name}`])),
      };
    },
    unload: () => executable.unload(),
  };
}

function nameOf(parameter: Tensor): string {
  const { op, attributes } = parameter.call;
  if (op.name !== 'input' || parameter.shape.some((dim) => typeof dim !== 'number')) {
    throw new ShapeError('learner: a parameter must be an input of fixed shape');
  }
  return (attributes as InputAttributes).name;
}

function pick<V>(names: readonly string[], f: (name: string) => V): Record<string, V> {
  return Object.fromEntries(names.map((name) => [name, f(name)]));
}
