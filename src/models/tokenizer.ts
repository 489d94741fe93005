/**
 * Text to token ids and back. One interface over Hugging Face's tokenizer.json and the tokenizer
 * that a GGUF file carries in its metadata.
 */

export interface SpecialTokens {
  readonly bos?: number;
  readonly eos?: number;
  readonly pad?: number;
  readonly unknown?: number;
  readonly mask?: number;
}

export interface Tokenizer {
  /** Number of ids, added tokens included. */
  readonly size: number;
  readonly special: SpecialTokens;
  /** Ids of a text; with `addSpecialTokens` what the model's own post-processor puts around it. */
  encode(text: string, options?: { addSpecialTokens?: boolean }): number[];
  /** Text of ids, byte fragments joined; special tokens are left out unless asked for. */
  decode(ids: readonly number[], options?: { keepSpecialTokens?: boolean }): string;
  /** The bytes that one token stands for, as text; fragments of a character become U+FFFD. */
  tokenText(id: number): string;
  /** True for control and added tokens that never stand for ordinary text. */
  isSpecial(id: number): boolean;
  /** Id of a token by its exact stored form ("Ġgreat", "▁great", "<mask>"), if there is one. */
  idOf(token: string): number | undefined;
  /** Jinja chat template from the model's own file. */
  readonly chatTemplate?: string;
}
