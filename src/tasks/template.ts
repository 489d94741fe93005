/** Templates with slots `{input}`, `{prompt}`, `{mask}`: parsed once, rendered many times. */
export type Slot = 'input' | 'prompt' | 'mask';
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'slot'; readonly slot: Slot };

export interface Template {
  /** As it was written. */
  readonly source: string;
  readonly parts: readonly TemplatePart[];
}
