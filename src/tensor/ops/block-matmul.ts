/**
 * Products with matrices in 8 bits, one scale for every block of columns of a row. Each row of the
 * activations is quantised by itself, so that what stands beside it changes nothing. A fifth of the
 * bytes of float32, which is what one sequence at a time waits for.
 */
import { ShapeError } from '../../errors.ts';
import { show } from '../dims.ts';
import { apply1, type Op, type Tensor } from '../graph.ts';

/** Columns that share a scale. */
export const BLOCK = 32;

/** What a block's bytes count from. */
export const BLOCK_ZERO = 128;

/**
 * x [..., K], a matrix [N, ceil(K/32), 32] in uint8 counted from 128, its scales [N, ceil(K/32)], to
 * [..., N]. The engine's kernel rounds activations to 8 bits as well.
 */
export const blockMatmulOp: Op<null> = {
  name: 'blockMatmul',
  infer: ([x, matrix, scales]) => {
    const K = x!.shape.at(-1);
    const [N, blocks, width] = matrix!.shape;
    const fits =
      typeof K === 'number' &&
      blocks === Math.ceil(K / BLOCK) &&
      width === BLOCK &&
      show(scales!.shape) === show([N!, blocks]);
    if (!fits) {
      throw new ShapeError(
        `blockMatmul: activations ${show(x!.shape)}, blocks ${show(matrix!.shape)}, scales ${show(scales!.shape)} do not fit`,
      );
    }
    return [{ shape: [...x!.shape.slice(0, -1), N!], dtype: 'float32' }];
  },
  vjp: null,
  emit: ({ inputs, outputs, call, node }) => {
    const [x, matrix] = call.inputs;
    node('MatMulNBits', inputs, {
      outputs,
      domain: 'com.microsoft',
      attributes: {
        K: BigInt(x!.shape.at(-1)!),
        N: BigInt(matrix!.shape[0]!),
        bits: 8n,
        block_size: BigInt(BLOCK),
        accuracy_level: 4n,
      },
    });
  },
};

export const blockMatmul = (x: Tensor, matrix: Tensor, scales: Tensor): Tensor =>
  apply1(blockMatmulOp, [x, matrix, scales], null);
