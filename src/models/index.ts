/** whetstone/models: weight files, tokenizers, language models and the programs they run. */
export type { Architecture, Attend, ModelConfig, WeightSpec, Weights } from './architecture.ts';
export { architectures } from './architectures/index.ts';
export { branches, sequences } from './attention.ts';
export { type Embedder, loadEmbedder } from './embedder.ts';
export { type EmbeddingTable, loadEmbeddings } from './embeddings.ts';
export {
  type Generated,
  type GenerateOptions,
  type GenerateRequest,
  type Generator,
  loadGenerator,
} from './generate.ts';
export { LanguageModel, type OpenOptions } from './language-model.ts';
export { type Beginnings, type Likelihood, loadLikelihood } from './likelihood.ts';
export { listModels, modelFolder, type ResolvedModel, resolveModel } from './model-store.ts';
export { openWeights } from './open-weights.ts';
export type { Precision } from './prepared-weights.ts';
export {
  type Brancher,
  loadBrancher,
  loadPrefiller,
  loadScorer,
  type Prefiller,
  type PrefixCache,
  type Scorer,
  type Want,
} from './programs.ts';
export type { Tokenizer } from './tokenizer.ts';
export { tokenizerFromGguf } from './tokenizer-gguf.ts';
export { loadTokenizerFolder, loadTokenizerJson } from './tokenizer-json.ts';
export type { StoredTensor, WeightFile } from './weight-file.ts';
