/** whetstone/providers: models that answer in text behind an API; the list of them is in registry.ts. */
export { type LabelScores, labelScores } from './label-scores.ts';
export {
  type Caps,
  type Cost,
  Ledger,
  type LedgerLine,
  type Paid,
  type Role,
  roles,
  type Totals,
} from './ledger.ts';
export { type OpenTextModelOptions, openTextModel } from './open.ts';
export type { Patience } from './patience.ts';
export { costUsd, knownPrices, PRICES_AS_OF, type Price, priceOf } from './prices.ts';
export type { Provider } from './provider.ts';
export {
  type ApiModel,
  type ApiModelInput,
  apiModelSchema,
  apiReferenceSchema,
  isApiReference,
  parseApiReference,
  priceTableSchema,
} from './reference.ts';
export { providers } from './registry.ts';
export {
  memoryCache,
  type Outcome,
  type Outcomes,
  type ResponseCache,
  responseKey,
} from './response-cache.ts';
export {
  type Alternative,
  type CompleteOptions,
  type Completion,
  type Failure,
  isFailure,
  type Message,
  type TextModel,
  type TextRequest,
} from './text-model.ts';
export { estimateTokens } from './token-estimate.ts';
