/** A graph as text, one line a call: for reading, not for parsing. */
import { show } from './dims.ts';
import {
  type ConstantAttributes,
  constantOp,
  type InputAttributes,
  inputOp,
  type Op,
  type Tensor,
  topologicalOrder,
  weightOp,
} from './graph.ts';

/** The calls that `outputs` need, inputs before users: "%3 = mul(%0, %1) [N]". */
export function printGraph(outputs: Readonly<Record<string, Tensor>>): string {
  const names = new Map<Tensor, string>();
  const lines: string[] = [];
  let count = 0;
  for (const call of topologicalOrder(Object.values(outputs))) {
    for (const tensor of call.outputs) {
      const isSmall = call.op === (constantOp as Op) && tensor.shape.length === 0;
      names.set(tensor, isSmall ? scalar(tensor) : `%${count++}`);
    }
    if (names.get(call.outputs[0]!)!.startsWith('%')) lines.push(line(call.outputs, names));
  }
  const results = Object.entries(outputs).map(([name, y]) => `${name} = ${names.get(y)}`);
  return [...lines, ...results].join('\n');
}

function line(outputs: readonly Tensor[], names: ReadonlyMap<Tensor, string>): string {
  const { op, inputs, attributes } = outputs[0]!.call;
  const isGiven = op === (inputOp as Op) || op === (weightOp as Op);
  const operands = isGiven
    ? [`"${(attributes as InputAttributes).name}"`]
    : [
        ...inputs.map((x) => names.get(x)),
        ...settings(op === (constantOp as Op) ? {} : attributes),
      ];
  const left = outputs.map((y) => names.get(y)).join(', ');
  const types = outputs.map(({ shape, dtype }) => (dtype === 'float32' ? '' : dtype) + show(shape));
  return `${left} = ${op.name}(${operands.join(', ')}) ${types.join(', ')}`;
}

/** Attributes that are plain values. */
function settings(attributes: unknown): string[] {
  return Object.entries(attributes ?? {})
    .filter(([, value]) => typeof [value].flat()[0] !== 'object')
    .map(([name, value]) => `${name}=${JSON.stringify(value)}`);
}

function scalar(tensor: Tensor): string {
  return String((tensor.call.attributes as ConstantAttributes).data[0]);
}
