/** Files of a run: what was learnt from data is its owner's alone, as the store of runs is. */
import { chmod } from 'node:fs/promises';
import { dirname } from 'node:path';
import { onDisk } from '../util/disk.ts';
import { makeFolder } from '../util/make-folder.ts';

/** Calls `save` with a folder that only its owner may enter. @throws StoreError */
export async function saveOwn(
  folder: string,
  save: (folder: string) => Promise<readonly string[]>,
): Promise<string[]> {
  await onDisk(folder, async () => makeFolder(folder, 0o700));
  const files = await save(folder);
  await onDisk(folder, async () => {
    for (const file of files) {
      await chmod(file, 0o600);
      await chmod(dirname(file), 0o700);
    }
  });
  return [...files];
}
