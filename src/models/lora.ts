/**
 * LoRA: y = W·x + (α/r)·B·A·x beside a frozen matrix W. The factors are inputs of the program, stacked
 * over layers, one pair a role ("q", "v", …), so that several adapters serve one base. Where a matrix
 * here joins several modules of the checkpoint, each has its own pair and its slice of the product.
 *
 * Source: Hu et al. 2021, arXiv 2106.09685, equation 3. Left out: dropout, biases, merging.
 */
import {
  concat,
  input,
  matmul,
  matmulOnto,
  type Parameters,
  reshape,
  split,
  type Tensor,
} from '../tensor/index.ts';
import type { Rng } from '../util/rng.ts';
import type { Architecture, LinearPart, ModelConfig, Weights } from './architecture.ts';

export interface LoraOptions {
  /** r, inner width of the low-rank product. */
  readonly rank: number;
  /** α: the product is scaled by α / r. */
  readonly alpha: number;
  /** Only the attention's q and v (PEFT's default), or every linear layer. */
  readonly layers: 'qv' | 'all';
}

/** Shapes of the factors by name: "lora.q.a" [layers, r, in], "lora.q.b" [layers, out, r]. */
export type LoraShapes = Readonly<Record<string, readonly number[]>>;

/** True where a role gets an adapter; GPT-2's q, k and v are one module. */
function isAdapted({ role }: LinearPart, { layers }: LoraOptions): boolean {
  return layers === 'all' || role === 'q' || role === 'v' || role === 'qkv';
}

export function loraShapes(
  architecture: Architecture,
  config: ModelConfig,
  options: LoraOptions,
): LoraShapes {
  const shapes: Record<string, readonly number[]> = {};
  for (const { parts, inner } of architecture.linears(config, 0)) {
    for (const part of parts.filter((p) => isAdapted(p, options))) {
      shapes[`lora.${part.role}.a`] = [config.layers, options.rank, inner];
      shapes[`lora.${part.role}.b`] = [config.layers, part.rows, options.rank];
    }
  }
  return shapes;
}

/** A as a linear layer is initialised (uniform in ±1/√in), B zero: a fresh adapter changes nothing. */
export function freshLora(shapes: LoraShapes, rng: Rng): Parameters {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => {
      const values = new Float32Array(shape.reduce((a, b) => a * b, 1));
      if (name.endsWith('.b')) return [name, values];
      const bound = 1 / Math.sqrt(shape[2]!);
      return [name, values.map(() => (2 * rng.next() - 1) * bound)];
    }),
  );
}

/** The weights with adapters on, and the factors as inputs of the program. */
export function withLora(
  w: Weights,
  architecture: Architecture,
  options: LoraOptions,
): { weights: Weights; leaves: Readonly<Record<string, Tensor>> } {
  const { config } = w;
  const leaves = Object.fromEntries(
    Object.entries(loraShapes(architecture, config, options)).map(([name, shape]) => [
      name,
      input(name, shape),
    ]),
  );
  // One split of each stack, as one matrix above the other: its gradient is one concatenation.
  const layersOf = Object.fromEntries(
    Object.entries(leaves).map(([name, stack]) => {
      const [layers, rows, columns] = stack.shape as [number, number, number];
      const joined = reshape(stack, [layers * rows, columns]);
      return [name, split(joined, Array<number>(layers).fill(rows), 0)];
    }),
  );
  const alpha = options.alpha / options.rank;
  /** The linear layer's rows y, and what its adapters add for x. */
  const adapted = new Map<string, (y: Tensor, x: Tensor) => Tensor>();
  for (let i = 0; i < config.layers; i++) {
    for (const { name, parts } of architecture.linears(config, i)) {
      if (!parts.some((part) => isAdapted(part, options))) continue;
      const onto = (y: Tensor, x: Tensor, { role }: LinearPart) => {
        const a = layersOf[`lora.${role}.a`]![i]!; // [r, in]
        const b = layersOf[`lora.${role}.b`]![i]!; // [out, r]
        return matmulOnto(y, matmul(x, a, { transB: true }), b, { transB: true, alpha });
      };
      adapted.set(name, (y, x) => {
        if (parts.length === 1) return onto(y, x, parts[0]!);
        const slices = split(
          y,
          parts.map(({ rows }) => rows),
          -1,
        );
        const sums = parts.map((part, p) =>
          isAdapted(part, options) ? onto(slices[p]!, x, part) : slices[p]!,
        );
        return concat(sums, -1);
      });
    }
  }
  const linear = (x: Tensor, name: string) => {
    const y = w.linear(x, name);
    return adapted.get(name)?.(y, x) ?? y;
  };
  return { weights: { ...w, linear }, leaves };
}

/** The adapter's matrices by the names that PEFT gives them. */
export function loraByModule(
  architecture: Architecture,
  config: ModelConfig,
  options: LoraOptions,
): { readonly key: string; readonly name: string; readonly layer: number }[] {
  const all = [];
  for (let layer = 0; layer < config.layers; layer++) {
    for (const { parts } of architecture.linears(config, layer)) {
      for (const { module, role } of parts.filter((part) => isAdapted(part, options))) {
        for (const side of ['a', 'b'] as const) {
          const key = `base_model.model.${module}.lora_${side.toUpperCase()}.weight`;
          all.push({ key, name: `lora.${role}.${side}`, layer });
        }
      }
    }
  }
  return all;
}
