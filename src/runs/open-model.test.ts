import { expect, it } from 'vitest';
import type { Engine } from '../tensor/index.ts';
import { openModel } from './open-model.ts';

it('a misspelt provider is named, before a model of this machine is looked for', async () => {
  const open = (name: string) => openModel(name, { engine: {} as Engine });
  await expect(open('opnai:gpt-4.1-mini')).rejects.toThrow(
    /opnai:gpt-4.1-mini: there is no provider opnai, did you mean openai:gpt-4.1-mini\?/,
  );
  await expect(open('local:nothing')).rejects.toThrow(/local:nothing: no such model/);
});
