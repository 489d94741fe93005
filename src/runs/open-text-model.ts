/** From a reference in a configuration to models that answer in text, each opened once. */
import { ConfigError } from '../errors.ts';
import type { TextModel } from '../providers/text-model.ts';
import type { OpenOptions, OpenText } from './bench.ts';
import type { LoadedConfig } from './config.ts';
import { nameOf } from './model-reference.ts';

export interface TextModels {
  readonly open: OpenText;
  close(): Promise<void>;
}

export function textModels(_: LoadedConfig, { openText }: OpenOptions): TextModels {
  const opened = new Map<string, Promise<TextModel>>();
  return {
    open(reference, role) {
      const key = JSON.stringify(reference);
      let model = opened.get(key);
      if (!model) {
        if (!openText) {
          throw new ConfigError(`taskLm: ${nameOf(reference)} cannot be asked in text yet`);
        }
        model = openText(reference, role);
        opened.set(key, model);
      }
      return model;
    },
    async close() {
      for (const model of opened.values()) await (await model).close();
    },
  };
}
