/**
 * Templates with slots `{input}`, `{prompt}`, `{mask}`: parsed once, rendered many times.
 *
 * `{{` and `}}` stand for braces. What is put into a slot is never read again, so an input that
 * holds `{prompt}` stays as it is. Tokenising is left to the environment.
 */
import { ConfigError } from '../errors.ts';
import { excerpt } from './excerpt.ts';

export type Slot = 'input' | 'prompt' | 'mask';
export type TemplatePart =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'slot'; readonly slot: Slot };

export interface Template {
  /** As it was written. */
  readonly source: string;
  readonly parts: readonly TemplatePart[];
}

/** What stands in the slots of one rendered text. */
export interface SlotValues {
  readonly input: string;
  readonly prompt: string;
  /** The mask token's text; needed when the template has `{mask}`. */
  readonly mask?: string;
}

/** For a causal task LM: the label word follows at the end. */
export const causalTemplate = '{input} {prompt}';
/** For a masked task LM: the label word stands at the mask. Source: RLPrompt, arXiv 2205.12548. */
export const maskedTemplate = '{input} {prompt} {mask} .';

const slots: readonly Slot[] = ['input', 'prompt', 'mask'];
const knownSlots = 'known are {input}, {prompt} and, for masked models, {mask}';
const escapeHint = 'write {{ and }} for braces';

/**
 * Reads a template.
 * @throws ConfigError for an unknown or repeated slot, a missing {input} or {prompt}, a lone brace
 */
export function parseTemplate(source: string): Template {
  const parts: TemplatePart[] = [];
  const seen = new Set<Slot>();
  let text = '';
  const endText = () => {
    if (text !== '') parts.push({ kind: 'text', text });
    text = '';
  };
  for (const [piece] of source.matchAll(/\{\{|\}\}|\{[^{}]*\}|[{}]|[^{}]+/g)) {
    if (piece === '{{' || piece === '}}') text += piece[0];
    else if (piece === '{' || piece === '}') throw loneBrace(source, piece);
    else if (piece.startsWith('{')) {
      endText();
      const slot = slotOf(source, piece);
      if (seen.has(slot)) throw wrong(source, `the slot ${piece} stands there twice`);
      seen.add(slot);
      parts.push({ kind: 'slot', slot });
    } else text += piece;
  }
  endText();
  for (const slot of ['input', 'prompt'] as const) {
    if (!seen.has(slot)) throw wrong(source, `the slot {${slot}} is missing`);
  }
  return { source, parts };
}

/** True when the template has the slot. */
export function hasSlot(template: Template, slot: Slot): boolean {
  return template.parts.some((part) => part.kind === 'slot' && part.slot === slot);
}

/**
 * Checks that the template suits the kind of task LM: a masked one needs `{mask}`, a causal one
 * answers at the end and has no mask token.
 * @throws ConfigError when it does not
 */
export function checkTemplateFits(template: Template, lm: 'causal' | 'masked'): void {
  const { source } = template;
  if (lm === 'masked' && !hasSlot(template, 'mask')) {
    const example = maskedTemplate;
    throw wrong(source, `the slot {mask} is missing, a masked task LM answers there (${example})`);
  }
  if (lm === 'causal' && hasSlot(template, 'mask')) {
    throw wrong(source, 'the slot {mask} does not fit, a causal task LM answers at the end');
  }
}

/**
 * The whole text. An empty prompt takes one neighbouring space with it, so that `{input} {prompt}`
 * without a prompt is the input alone.
 * @throws ConfigError when the template has {mask} and no mask is given
 */
export function renderTemplate(template: Template, values: SlotValues): string {
  const { before, after } = splitAtPrompt(template, values.input, values.mask);
  if (values.prompt !== '') return before + values.prompt + after;
  if (before.endsWith(' ') && (after === '' || after.startsWith(' '))) {
    return before.slice(0, -1) + after;
  }
  return before === '' && after.startsWith(' ') ? after.slice(1) : before + after;
}

/**
 * The texts on either side of the prompt slot, spaces as written.
 * @throws ConfigError when the template has {mask} and no mask is given
 */
export function splitAtPrompt(
  template: Template,
  input: string,
  mask?: string,
): { readonly before: string; readonly after: string } {
  const sides = ['', ''];
  let side = 0;
  for (const part of template.parts) {
    if (part.kind === 'slot' && part.slot === 'prompt') side = 1;
    else sides[side] += part.kind === 'text' ? part.text : slotText(template, part.slot);
  }
  return { before: sides[0]!, after: sides[1]! };

  function slotText({ source }: Template, slot: Slot): string {
    if (slot === 'input') return input;
    if (mask !== undefined) return mask;
    throw wrong(source, 'the slot {mask} does not fit, the task LM has no mask token');
  }
}

function slotOf(source: string, piece: string): Slot {
  const name = piece.slice(1, -1);
  const slot = slots.find((known) => known === name);
  if (slot === undefined) throw wrong(source, `unknown slot ${excerpt(piece)}`, `, ${escapeHint}`);
  return slot;
}

function loneBrace(source: string, brace: string): ConfigError {
  return wrong(source, `a single ${brace} belongs to no slot`, `, ${escapeHint}`);
}

function wrong(source: string, what: string, hint = ''): ConfigError {
  return new ConfigError(`template "${excerpt(source, 80)}": ${what}; ${knownSlots}${hint}`);
}
