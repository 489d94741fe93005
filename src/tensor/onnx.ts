/**
 * Emits an expression graph as an ONNX model (IR version 10, opset 23, com.microsoft 1). Weights
 * stay in their own file and are referred to by offset, so a program is small and several programs
 * share one mapped file.
 */
import { assert, ShapeError } from '../errors.ts';
import { type Dim, isSum, monomial, type Shape, terms } from './dims.ts';
import {
  type AttributeValue,
  type Call,
  type ConstantAttributes,
  constantOp,
  type DType,
  type Emission,
  elementTypes,
  type InputAttributes,
  inputOp,
  type NodeOptions,
  type Op,
  type Tensor,
  topologicalOrder,
  type WeightAttributes,
  weightOp,
} from './graph.ts';
import { ProtobufWriter } from './protobuf.ts';

/** A graph in the form that the engine runs. */
export interface Program {
  readonly onnx: Uint8Array<ArrayBuffer>;
  readonly inputs: readonly InputAttributes[];
  readonly outputs: readonly string[];
  /** Whether the program refers to weight files in the folder that it is loaded in. */
  readonly hasWeights: boolean;
  /** ONNX nodes as emitted, before the engine's own simplification. */
  readonly nodeCount: number;
}

/** Emits what is needed for `outputs`. @throws ShapeError when a symbol has no input to come from */
export function emitProgram(outputs: Readonly<Record<string, Tensor>>): Program {
  const emitter = new Emitter();
  const roots = Object.values(outputs);
  const order = topologicalOrder(roots);
  for (const call of order) emitter.declare(call);
  for (const [name, tensor] of Object.entries(outputs)) emitter.promise(name, tensor);
  for (const call of order) emitter.emit(call);
  for (const [name, tensor] of Object.entries(outputs)) emitter.output(name, tensor);
  return {
    onnx: emitter.finish(),
    inputs: emitter.inputs,
    outputs: Object.keys(outputs),
    hasWeights: emitter.hasWeights,
    nodeCount: emitter.nodeCount,
  };
}

class Emitter {
  readonly inputs: InputAttributes[] = [];
  nodeCount = 0;
  private readonly nodes = new ProtobufWriter();
  private readonly values = new ProtobufWriter();
  private readonly names = new Map<Tensor, string>();
  private readonly symbols = new Map<string, string>();
  private readonly vectors = new Map<string, string>();
  private readonly constants = new Map<string, string>();
  private readonly weights = new Map<string, string>();
  private readonly sources = new Map<string, { name: string; axis: number }>();
  private readonly outputNames: { name: string; tensor: Tensor }[] = [];
  /** Results that are emitted under the name of an output; others are copied to theirs. */
  private readonly promised = new Map<Tensor, string>();
  private count = 0;

  get hasWeights(): boolean {
    return this.weights.size > 0;
  }

  /** Registers inputs first, so that symbols are known before any node needs one. */
  declare(call: Call): void {
    if (call.op === (inputOp as Op)) {
      const attributes = call.attributes as InputAttributes;
      if (this.inputs.some((other) => other.name === attributes.name)) {
        throw new ShapeError(`program: two inputs are named "${attributes.name}", rename one`);
      }
      this.inputs.push(attributes);
      this.names.set(call.outputs[0]!, attributes.name);
      attributes.shape.forEach((dim, axis) => {
        if (typeof dim === 'string' && !this.sources.has(dim)) {
          this.sources.set(dim, { name: attributes.name, axis });
        }
      });
    }
  }

  /** The name of an output, before anything is emitted. */
  promise(name: string, tensor: Tensor): void {
    if (!this.promised.has(tensor)) this.promised.set(tensor, name);
  }

  emit(call: Call): void {
    if (call.op === (inputOp as Op)) return;
    if (call.op === (weightOp as Op)) {
      this.weight(call);
      return;
    }
    if (call.op === (constantOp as Op)) {
      const { data, shape, dtype } = call.attributes as ConstantAttributes;
      this.names.set(call.outputs[0]!, this.constant(data, shape as number[], dtype));
      return;
    }
    const outputs = call.outputs.map((tensor) => {
      const name = this.promised.get(tensor) ?? `${call.op.name}_${this.count++}`;
      this.names.set(tensor, name);
      return name;
    });
    const emission: Emission<unknown> = {
      inputs: call.inputs.map((tensor) => this.nameOf(tensor)),
      outputs,
      attributes: call.attributes,
      call,
      node: (type, inputs, options) => this.node(type, inputs, options),
      dims: (dims) => this.dims(dims),
      constant: (data, shape) =>
        this.constant(data, shape, data instanceof Float32Array ? 'float32' : 'int64'),
    };
    call.op.emit(emission);
  }

  output(name: string, tensor: Tensor): void {
    if (this.inputs.some((other) => other.name === name)) {
      throw new ShapeError(`program: "${name}" names an input and an output, rename one`);
    }
    const result = this.nameOf(tensor);
    if (result !== name) this.node('Identity', [result], { outputs: [name] });
    this.outputNames.push({ name, tensor });
  }

  finish(): Uint8Array<ArrayBuffer> {
    const nodes = this.nodes.finish();
    const values = this.values.finish();
    const io = new ProtobufWriter();
    for (const { name, shape, dtype } of this.inputs) valueInfo(io, 11, name, shape, dtype);
    for (const { name, tensor } of this.outputNames) {
      valueInfo(io, 12, name, tensor.shape, tensor.dtype);
    }
    const graph = Buffer.concat([
      nodes,
      new ProtobufWriter().text(2, 'whetstone').finish(),
      values,
      io.finish(),
    ]);
    return new ProtobufWriter()
      .varint(1, 10)
      .text(2, 'whetstone')
      .blob(7, graph)
      .message(8, (opset) => opset.text(1, '').varint(2, 23))
      .message(8, (opset) => opset.text(1, 'com.microsoft').varint(2, 1))
      .finish();
  }

  private nameOf(tensor: Tensor): string {
    const name = this.names.get(tensor);
    assert(name !== undefined, `emission: a tensor of ${tensor.call.op.name} has no name`);
    return name;
  }

  private node(type: string, inputs: readonly string[], options: NodeOptions = {}): string {
    const outputs = options.outputs ?? [`${type}_${this.count++}`];
    this.nodeCount++;
    this.nodes.message(1, (node) => {
      for (const name of inputs) node.text(1, name);
      for (const name of outputs) node.text(2, name);
      node.text(4, type);
      for (const [name, value] of Object.entries(options.attributes ?? {})) {
        node.message(5, (attribute) => writeAttribute(attribute, name, value));
      }
      if (options.domain) node.text(7, options.domain);
    });
    return outputs[0]!;
  }

  private weight(call: Call): void {
    const w = call.attributes as WeightAttributes;
    const key = `${w.file}/${w.name}`;
    let name = this.weights.get(key);
    if (name === undefined) {
      name = `weight:${key}`;
      this.weights.set(key, name);
      this.values.message(5, (tensor) => {
        for (const dim of w.shape) tensor.varint(1, dim as number);
        tensor.varint(2, elementTypes[w.dtype]).text(8, name as string);
        const entries = { location: w.file, offset: String(w.offset), length: String(w.sizeBytes) };
        for (const [key, value] of Object.entries(entries)) {
          tensor.message(13, (entry) => entry.text(1, key).text(2, value));
        }
        tensor.varint(14, 1);
      });
    }
    this.names.set(call.outputs[0]!, name);
  }

  private constant(
    data: ConstantAttributes['data'],
    shape: readonly number[],
    dtype: DType,
  ): string {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const key = `${dtype}:${shape.join(',')}:${Buffer.from(bytes).toString('base64')}`;
    let name = this.constants.get(key);
    if (name === undefined) {
      name = `constant_${this.count++}`;
      this.constants.set(key, name);
      this.values.message(5, (tensor) => {
        for (const dim of shape) tensor.varint(1, dim);
        tensor
          .varint(2, elementTypes[dtype])
          .text(8, name as string)
          .blob(9, bytes);
      });
    }
    return name;
  }

  /** An int64 vector with the run-time values of `dims`, made once per signature. */
  private dims(dims: Shape): string {
    if (dims.every((dim) => typeof dim === 'number')) {
      return this.constant(BigInt64Array.from(dims.map(BigInt)), [dims.length], 'int64');
    }
    const key = dims.join(',');
    let name = this.vectors.get(key);
    if (name === undefined) {
      const parts = dims.map((dim) => this.dim(dim));
      name =
        parts.length === 1 ? parts[0]! : this.node('Concat', parts, { attributes: { axis: 0n } });
      this.vectors.set(key, name);
    }
    return name;
  }

  /** An int64 vector of one element: the run-time value of one dimension. */
  private dim(dim: Dim): string {
    if (typeof dim === 'number') {
      return this.constant(BigInt64Array.of(BigInt(dim)), [1], 'int64');
    }
    const known = this.symbols.get(dim);
    if (known !== undefined) return known;
    const name = this.computeDim(dim);
    this.symbols.set(dim, name);
    return name;
  }

  private computeDim(dim: string): string {
    const source = this.sources.get(dim);
    if (source) {
      return this.node('Shape', [source.name], {
        attributes: { start: BigInt(source.axis), end: BigInt(source.axis + 1) },
      });
    }
    if (isSum(dim)) {
      return terms(dim)
        .map((term) => this.dim(term))
        .reduce((a, b) => this.node('Add', [a, b]));
    }
    const { coefficient, factors } = monomial(dim);
    if (factors.length === 1 && coefficient === 1) {
      throw new ShapeError(`program: no input has the dimension "${dim}", so its size is unknown`);
    }
    const parts = factors.map((factor) => this.dim(factor));
    if (coefficient !== 1) parts.push(this.dim(coefficient));
    return parts.reduce((a, b) => this.node('Mul', [a, b]));
  }
}

function writeAttribute(writer: ProtobufWriter, name: string, value: AttributeValue): void {
  writer.text(1, name);
  if (typeof value === 'number') writer.float(2, value).varint(20, 1);
  else if (typeof value === 'bigint') writer.varint(3, value).varint(20, 2);
  else if (typeof value === 'string') writer.text(4, value).varint(20, 3);
  else {
    for (const item of value) writer.varint(8, item);
    writer.varint(20, 7);
  }
}

function valueInfo(
  writer: ProtobufWriter,
  field: number,
  name: string,
  shape: Shape,
  dtype: DType,
): void {
  writer.message(field, (info) => {
    info.text(1, name).message(2, (type) =>
      type.message(1, (tensor) => {
        tensor.varint(1, elementTypes[dtype]).message(2, (dims) => {
          for (const dim of shape) {
            dims.message(1, (d) => (typeof dim === 'number' ? d.varint(1, dim) : d.text(2, dim)));
          }
        });
      }),
    );
  });
}
