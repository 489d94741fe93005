/** Writes an evaluation as JUnit XML: whole or not at all. */
import { StoreError } from '../../errors.ts';
import { writeFileAtomic } from '../../util/atomic-file.ts';
import { type JUnitParts, junitXml } from './junit.ts';

/** @throws StoreError when the file cannot be written */
export async function writeJUnit(path: string, parts: JUnitParts): Promise<void> {
  try {
    await writeFileAtomic(path, junitXml(parts));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new StoreError(`--junit ${path}: cannot be written (${code ?? String(error)})`);
  }
}
