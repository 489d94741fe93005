/** whetstone/tensor: expression graphs, gradients, programs and the engine that runs them. */
export type { Dim, Shape } from './dims.ts';
export {
  type Device,
  Engine,
  type EngineOptions,
  type Executable,
  float32,
  floats,
  type HostTensor,
  int64,
  type Kept,
  type LoadOptions,
} from './engine.ts';
export { grad, pullback } from './grad.ts';
export {
  apply,
  apply1,
  type Call,
  constant,
  type DType,
  type Emission,
  input,
  integers,
  type Op,
  type Tensor,
  type TensorType,
  type WeightAttributes,
  weight,
} from './graph.ts';
export { type Learner, loadLearner } from './learner.ts';
export { crossEntropy } from './losses.ts';
export { emitProgram, type Program } from './onnx.ts';
export { type AttentionInputs, attention } from './ops/attention.ts';
export { BLOCK, BLOCK_ZERO, blockMatmul } from './ops/block-matmul.ts';
export * from './ops/elementwise.ts';
export { ops } from './ops/index.ts';
export * from './ops/matmul.ts';
export * from './ops/neural.ts';
export { recompute } from './ops/recompute.ts';
export * from './ops/reduce.ts';
export * from './ops/shape.ts';
export { topK } from './ops/top-k.ts';
export * from './optimizers.ts';
export { printGraph } from './print.ts';
export {
  centralDifferences,
  evaluate,
  type Kernel,
  type ReferenceOptions,
  type Value,
  type Values,
  value,
} from './reference.ts';
export { constantRate, cosineRate, linearRate, type Schedule } from './schedules.ts';
