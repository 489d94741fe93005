/** A `WeightFile` over open files: what the readers share. */
import { WeightsError } from '../errors.ts';
import { isReadable } from './dequantize.ts';
import type { FileReader } from './file-reader.ts';
import type { MetadataValue, StoredTensor, StoredType, WeightFile } from './weight-file.ts';

/** A `WeightFile` over open files and the tensors found in them. */
export function weightFile(
  format: WeightFile['format'],
  files: readonly FileReader[],
  tensors: ReadonlyMap<string, StoredTensor>,
  metadata: ReadonlyMap<string, MetadataValue>,
  decode: (type: StoredType, bytes: Uint8Array, elements: number) => Float32Array<ArrayBuffer>,
): WeightFile {
  return {
    format,
    paths: files.map((file) => file.path),
    tensors,
    metadata,
    async read(name) {
      const tensor = tensors.get(name);
      const file = files.find(({ path }) => path === tensor?.path);
      if (!tensor || !file) {
        throw new WeightsError(`${files[0]?.path}: holds no tensor "${name}", the model needs it`);
      }
      if (!isReadable(tensor.type)) {
        throw new WeightsError(
          `${tensor.path}: tensor "${name.slice(0, 80)}" has type ${tensor.type}, which cannot be read as numbers of a model`,
        );
      }
      const bytes = await file.read(tensor.offset, tensor.sizeBytes);
      return decode(
        tensor.type,
        bytes,
        tensor.shape.reduce((a, b) => a * b, 1),
      );
    },
    async close() {
      for (const file of files) await file.close();
    },
  };
}

/** @throws WeightsError when two tensors of one file share bytes */
export function checkOverlaps(tensors: readonly StoredTensor[]): void {
  const sorted = [...tensors].sort((a, b) => a.offset - b.offset);
  for (const [i, tensor] of sorted.entries()) {
    const before = sorted[i - 1];
    if (before && before.offset + before.sizeBytes > tensor.offset && tensor.sizeBytes > 0) {
      throw new WeightsError(
        `${tensor.path}: tensors "${before.name.slice(0, 80)}" and "${tensor.name.slice(0, 80)}" overlap, the file is damaged`,
      );
    }
  }
}
