/**
 * What a kind of task brings with it where the configuration does not say otherwise: metric, length
 * of answers, template, description, and what people write as a prompt for it.
 */
import type { MetricConfig } from '../metrics/index.ts';

export interface TaskKind {
  readonly name: string;
  /** One line for documentation. */
  readonly summary: string;
  /** One of few labels, which a local task LM answers by its logits; or a free text. */
  readonly answers: 'label' | 'text';
  /** How free text is judged; labels have a metric of their own. */
  readonly metric?: MetricConfig;
  /** Most tokens of an answer in text. */
  readonly maxAnswerTokens: number;
  readonly description: string;
  /** Messages for a task LM that is asked in text, as `message-template.ts` reads them. */
  readonly template: string;
  /** What people write; the first is what comes to mind. */
  readonly humanPrompts: readonly string[];
}
