/** Ops that work element by element, with numpy's broadcasting. */
import { ShapeError } from '../../errors.ts';
import { broadcast, sameShape } from '../dims.ts';
import {
  apply1,
  constant,
  type DType,
  elementTypes,
  type Op,
  type Tensor,
  type TensorType,
} from '../graph.ts';
import { sumTo } from './reduce.ts';

type Cotangents = (x: readonly Tensor[], y: Tensor, dy: Tensor) => readonly (Tensor | undefined)[];

function unary(name: string, onnx: string, vjp: Cotangents): Op<null> {
  return {
    name,
    infer: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
    vjp: (call, [dy]) => vjp(call.inputs, call.outputs[0]!, dy!),
    emit: ({ inputs, outputs, node }) => {
      node(onnx, inputs, { outputs });
    },
  };
}

function binary(name: string, onnx: string, vjp: Cotangents): Op<null> {
  return {
    name,
    infer: ([a, b]) => [
      { shape: broadcast(a!.shape, b!.shape, name), dtype: sameType(a!, b!, name) },
    ],
    vjp: (call, [dy]) =>
      vjp(call.inputs, call.outputs[0]!, dy!).map((d, i) =>
        d === undefined || sameShape(d.shape, call.inputs[i]!.shape)
          ? d
          : sumTo(d, call.inputs[i]!.shape),
      ),
    emit: ({ inputs, outputs, node }) => {
      node(onnx, inputs, { outputs });
    },
  };
}

function comparison(name: string, onnx: string): Op<null> {
  return {
    name,
    infer: ([a, b]) => {
      sameType(a!, b!, name);
      return [{ shape: broadcast(a!.shape, b!.shape, name), dtype: 'bool' }];
    },
    vjp: null,
    emit: ({ inputs, outputs, node }) => {
      node(onnx, inputs, { outputs });
    },
  };
}

function sameType(a: TensorType, b: TensorType, where: string): DType {
  if (a.dtype === b.dtype) return a.dtype;
  throw new ShapeError(`${where}: types differ, left ${a.dtype}, right ${b.dtype}, cast one`);
}

export const addOp = binary('add', 'Add', (_, __, dy) => [dy, dy]);
export const subOp = binary('sub', 'Sub', (_, __, dy) => [dy, neg(dy)]);
export const mulOp = binary('mul', 'Mul', ([a, b], _, dy) => [mul(dy, b!), mul(dy, a!)]);
// d(a/b) = da/b − y·db/b
export const divOp = binary('div', 'Div', ([, b], y, dy) => [
  div(dy, b!),
  neg(div(mul(dy, y), b!)),
]);
// The larger one gets the gradient; where they are equal, the first.
export const maximumOp = binary('maximum', 'Max', ([a, b], _, dy) => [
  where(greaterOrEqual(a!, b!), dy, constant(0)),
  where(greaterOrEqual(a!, b!), constant(0), dy),
]);
export const minimumOp = binary('minimum', 'Min', ([a, b], _, dy) => [
  where(greaterOrEqual(b!, a!), dy, constant(0)),
  where(greaterOrEqual(b!, a!), constant(0), dy),
]);
export const greaterOrEqualOp = comparison('greaterOrEqual', 'GreaterOrEqual');
export const equalOp = comparison('equal', 'Equal');

export const negOp = unary('neg', 'Neg', (_, __, dy) => [neg(dy)]);
// d|x| = sign(x); at 0 the right side's
export const absOp = unary('abs', 'Abs', ([x], _, dy) => [
  where(greaterOrEqual(x!, constant(0)), dy, neg(dy)),
]);
export const expOp = unary('exp', 'Exp', (_, y, dy) => [mul(dy, y)]);
export const logOp = unary('log', 'Log', ([x], _, dy) => [div(dy, x!)]);
// d sqrt(x) = 1 / (2 sqrt(x))
export const sqrtOp = unary('sqrt', 'Sqrt', (_, y, dy) => [div(dy, mul(y, constant(2)))]);
// d tanh(x) = 1 − tanh²(x)
export const tanhOp = unary('tanh', 'Tanh', (_, y, dy) => [mul(dy, sub(constant(1), mul(y, y)))]);
// dσ(x) = σ(x)(1 − σ(x))
export const sigmoidOp = unary('sigmoid', 'Sigmoid', (_, y, dy) => [
  mul(dy, mul(y, sub(constant(1), y))),
]);
// log(1 + exp(x)), without overflow
export const softplusOp = unary('softplus', 'Softplus', ([x], _, dy) => [mul(dy, sigmoid(x!))]);
// At 0 the left side's, as in PyTorch.
export const reluOp = unary('relu', 'Relu', ([x], _, dy) => [
  where(greaterOrEqual(constant(0), x!), constant(0), dy),
]);
// d erf(x) = 2/√π · exp(−x²)
export const erfOp = unary('erf', 'Erf', ([x], _, dy) => [
  mul(dy, mul(constant(2 / Math.sqrt(Math.PI)), exp(neg(mul(x!, x!))))),
]);

/** y = x·σ(αx), one fused kernel (QuickGelu); SiLU has α = 1. */
export const siluOp: Op<{ alpha: number }> = {
  name: 'silu',
  infer: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  // dy/dx = s + αx·s(1 − s), s = σ(αx)
  vjp: ({ inputs: [x], attributes: { alpha } }, [dy]) => {
    const ax = alpha === 1 ? x! : mul(x!, constant(alpha));
    const s = sigmoid(ax);
    return [mul(dy!, add(s, mul(ax, mul(s, sub(constant(1), s)))))];
  },
  emit: ({ inputs, outputs, attributes, node }) => {
    node('QuickGelu', inputs, { outputs, attributes, domain: 'com.microsoft' });
  },
};

/** GELU, exact (erf) or the tanh approximation. Source: arXiv 1606.08415. */
export const geluOp: Op<{ approximate: 'none' | 'tanh' }> = {
  name: 'gelu',
  infer: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  vjp: ({ inputs: [x], attributes }, [dy]) => [
    mul(dy!, geluDerivative(x!, attributes.approximate)),
  ],
  emit: ({ inputs, outputs, attributes, node }) => {
    node('Gelu', inputs, { outputs, attributes });
  },
};

function geluDerivative(x: Tensor, approximate: 'none' | 'tanh'): Tensor {
  if (approximate === 'none') {
    // Φ(x) + x·φ(x)
    const cdf = mul(constant(0.5), add(constant(1), erf(mul(x, constant(Math.SQRT1_2)))));
    const pdf = mul(constant(1 / Math.sqrt(2 * Math.PI)), exp(mul(constant(-0.5), mul(x, x))));
    return add(cdf, mul(x, pdf));
  }
  // y = ½x(1 + t), t = tanh(c(x + ax³)); dy = ½(1 + t) + ½x(1 − t²)c(1 + 3ax²)
  const c = constant(Math.sqrt(2 / Math.PI));
  const a = 0.044715;
  const square = mul(x, x);
  const t = tanh(mul(c, mul(x, add(constant(1), mul(constant(a), square)))));
  const inner = mul(c, add(constant(1), mul(constant(3 * a), square)));
  const slope = mul(mul(x, sub(constant(1), mul(t, t))), inner);
  return mul(constant(0.5), add(add(constant(1), t), slope));
}

/** `condition ? a : b`, element by element. */
export const whereOp: Op<null> = {
  name: 'where',
  infer: ([c, a, b]) => {
    const shape = broadcast(c!.shape, broadcast(a!.shape, b!.shape, 'where'), 'where');
    return [{ shape, dtype: sameType(a!, b!, 'where') }];
  },
  vjp: ({ inputs: [c, a, b] }, [dy]) => [
    undefined,
    sumTo(where(c!, dy!, constant(0)), a!.shape),
    sumTo(where(c!, constant(0), dy!), b!.shape),
  ],
  emit: ({ inputs, outputs, node }) => {
    node('Where', inputs, { outputs });
  },
};

/** x itself, but a constant to every gradient: baselines, targets, ratios to an old policy. */
export const stopGradientOp: Op<null> = {
  name: 'stopGradient',
  infer: ([x]) => [{ shape: x!.shape, dtype: x!.dtype }],
  vjp: () => [undefined],
  emit: ({ inputs, outputs, node }) => {
    node('Identity', inputs, { outputs });
  },
};

export const castOp: Op<{ to: DType }> = {
  name: 'cast',
  infer: ([x]: readonly TensorType[], { to }) => [{ shape: x!.shape, dtype: to }],
  // `cast` makes no call from float32 to float32, so one side is whole numbers: a step function.
  vjp: () => [undefined],
  emit: ({ inputs, outputs, attributes, node }) => {
    node('Cast', inputs, { outputs, attributes: { to: BigInt(elementTypes[attributes.to]) } });
  },
};

export const add = (a: Tensor, b: Tensor): Tensor => apply1(addOp, [a, b], null);
export const sub = (a: Tensor, b: Tensor): Tensor => apply1(subOp, [a, b], null);
export const mul = (a: Tensor, b: Tensor): Tensor => apply1(mulOp, [a, b], null);
export const div = (a: Tensor, b: Tensor): Tensor => apply1(divOp, [a, b], null);
export const maximum = (a: Tensor, b: Tensor): Tensor => apply1(maximumOp, [a, b], null);
export const minimum = (a: Tensor, b: Tensor): Tensor => apply1(minimumOp, [a, b], null);
export const greaterOrEqual = (a: Tensor, b: Tensor): Tensor =>
  apply1(greaterOrEqualOp, [a, b], null);
export const equal = (a: Tensor, b: Tensor): Tensor => apply1(equalOp, [a, b], null);
export const neg = (x: Tensor): Tensor => apply1(negOp, [x], null);
export const abs = (x: Tensor): Tensor => apply1(absOp, [x], null);
export const exp = (x: Tensor): Tensor => apply1(expOp, [x], null);
export const log = (x: Tensor): Tensor => apply1(logOp, [x], null);
export const sqrt = (x: Tensor): Tensor => apply1(sqrtOp, [x], null);
export const tanh = (x: Tensor): Tensor => apply1(tanhOp, [x], null);
export const sigmoid = (x: Tensor): Tensor => apply1(sigmoidOp, [x], null);
export const softplus = (x: Tensor): Tensor => apply1(softplusOp, [x], null);
/** log σ(x), without overflow. */
export const logSigmoid = (x: Tensor): Tensor => neg(softplus(neg(x)));
export const relu = (x: Tensor): Tensor => apply1(reluOp, [x], null);
export const erf = (x: Tensor): Tensor => apply1(erfOp, [x], null);
export const silu = (x: Tensor): Tensor => apply1(siluOp, [x], { alpha: 1 });
export const gelu = (x: Tensor, approximate: 'none' | 'tanh' = 'none'): Tensor =>
  apply1(geluOp, [x], { approximate });
export const where = (condition: Tensor, a: Tensor, b: Tensor): Tensor =>
  apply1(whereOp, [condition, a, b], null);
export const stopGradient = (x: Tensor): Tensor => apply1(stopGradientOp, [x], null);
export const cast = (x: Tensor, to: DType): Tensor =>
  x.dtype === to ? x : apply1(castOp, [x], { to });
export const square = (x: Tensor): Tensor => mul(x, x);
