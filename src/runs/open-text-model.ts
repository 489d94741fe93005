/**
 * From references in a configuration to models that answer in text, each opened once: behind an API,
 * or in this process. All of them enter what they take into one ledger.
 */

import { loadEmbedder } from '../models/embedder.ts';
import type { LanguageModel } from '../models/language-model.ts';
import type { Precision } from '../models/prepared-weights.ts';
import {
  isApiReference,
  type Ledger,
  memoryCache,
  openTextModel,
  type Role,
  type TextModel,
} from '../providers/index.ts';
import { localTextModel } from '../providers/local.ts';
import type { Embed } from '../tasks/metrics/index.ts';
import { Engine } from '../tensor/index.ts';
import type { OpenOptions } from './bench.ts';
import type { LoadedConfig } from './config.ts';
import { counted, ledgerOf } from './ledger.ts';
import type { ModelReference } from './model-reference.ts';
import { openModel } from './open-model.ts';

export interface TextModels {
  readonly ledger: Ledger;
  /** False when nothing can be computed any more. */
  readonly isAlive: boolean;
  open(reference: ModelReference, role: Role, precision?: Precision): Promise<TextModel>;
  /** A model that runs in this process, by its name. */
  openLm(name: string): Promise<LanguageModel>;
  /** Vectors of texts by a local model. */
  embed(name: string): Promise<Embed>;
  close(): Promise<void>;
}

export interface TextModelsOptions extends OpenOptions {
  /** Opens models that run in this process. @default in an engine of their own */
  readonly openLocal?: (name: string) => Promise<LanguageModel>;
}

/** @throws by `open`: ConfigError for an unknown model, a missing key or a missing price */
export function textModels(
  { config, folder }: LoadedConfig,
  { openText, openLocal, journal: outcomes, cache = memoryCache(), ...options }: TextModelsOptions,
): TextModels {
  const ledger = ledgerOf(config.budget);
  const opened = new Map<string, Promise<TextModel>>();
  const lms = new Map<string, Promise<LanguageModel>>();
  let engine: Engine | undefined;

  const openHere = (name: string) => {
    engine ??= new Engine({ device: config.device });
    return openModel(name, { ...options, engine, base: folder });
  };
  const openLm = (name: string) => {
    const lm = lms.get(name) ?? (openLocal ?? openHere)(name);
    lms.set(name, lm);
    return lm;
  };
  const local = async (name: string, precision: Precision) =>
    localTextModel(await openLm(name), { precision });
  const openNew = async (reference: ModelReference, role: Role, precision: Precision) => {
    if (openText) return counted(await openText(reference, role), { ledger, role, outcomes });
    if (typeof reference === 'string' && !isApiReference(reference)) {
      return counted(await local(reference, precision), { ledger, role, outcomes });
    }
    const { prices } = config;
    return openTextModel(reference, { env: process.env, ledger, role, cache, outcomes, prices });
  };
  return {
    ledger,
    get isAlive() {
      return engine?.hasFailed !== true;
    },
    open(reference, role, precision = 'float32') {
      const isLocal = !openText && !isApiReference(reference);
      const key = JSON.stringify([reference, role, isLocal ? precision : '']);
      const model = opened.get(key) ?? openNew(reference, role, precision);
      opened.set(key, model);
      return model;
    },
    openLm,
    async embed(name) {
      const embedder = await loadEmbedder(await openLm(name));
      return (texts, signal) => embedder.run(texts, signal);
    },
    async close() {
      for (const model of opened.values())
        await model.then(
          (m) => m.close(),
          () => {},
        );
      if (engine)
        for (const lm of lms.values())
          await lm.then(
            (m) => m.close(),
            () => {},
          );
      await engine?.close();
    },
  };
}
