/**
 * Models that answer in text by plain rules, so that what a prompt is worth is known: they read their
 * messages as any TextModel does.
 */
import { NetworkError } from '../../src/errors.ts';
import type { Completion, TextModel, TextRequest } from '../../src/providers/text-model.ts';

export interface RuleModel extends TextModel {
  /** Requests so far, in their order. */
  readonly asked: TextRequest[];
}

/** A model that answers by a rule; undefined is a request that fails. */
export function ruleModel(
  name: string,
  rule: (system: string, user: string, request: TextRequest) => string | undefined,
): RuleModel {
  const asked: TextRequest[] = [];
  return {
    name,
    key: `rule:${name}`,
    asked,
    async complete(requests, { signal, onProgress } = {}) {
      return requests.map((request, i) => {
        signal?.throwIfAborted();
        asked.push(request);
        const of = (role: string) =>
          request.messages
            .filter((message) => message.role === role)
            .map(({ content }) => content)
            .join('\n');
        const text = rule(of('system'), of('user'), request);
        onProgress?.(i + 1);
        if (text === undefined) {
          return { error: new NetworkError(`${name}: the server answered 500 to a request`) };
        }
        const words = (s: string) => s.split(/\s+/).filter(Boolean).length;
        const completion: Completion = {
          text,
          finish: 'stop',
          inputTokens: words(request.messages.map(({ content }) => content).join(' ')),
          outputTokens: words(text),
          isCached: false,
        };
        return completion;
      });
    },
    close: async () => {},
  };
}

/** "2 + 3 * 4": with a prompt that says "carefully" by the rules, else from left to right. */
export const calculator = (): RuleModel =>
  ruleModel('calculator', (system, user) => {
    const parts = user.trim().split(/\s+/);
    const number = (at: number) => Number(parts[at]);
    if (/carefully/i.test(system) && parts[3] === '*') {
      return `The answer is ${apply(number(0), parts[1]!, number(2) * number(4))}.`;
    }
    return String(apply(apply(number(0), parts[1]!, number(2)), parts[3]!, number(4)));
  });

export function apply(a: number, operator: string, b: number): number {
  if (operator === '+') return a + b;
  return operator === '-' ? a - b : a * b;
}

/** Rows of three numbers with gold answers by the rules. */
export function sums(count: number): { problem: string; answer: string }[] {
  const operators = ['+', '-', '*'];
  return Array.from({ length: count }, (_, i) => {
    const [a, b, c] = [2 + i, 3 + ((i * 7) % 11), 2 + ((i * 5) % 7)];
    const [p, q] = [operators[i % 2]!, operators[(i * 2 + 1) % 3]!];
    const answer = q === '*' ? apply(a, p, b * c) : apply(apply(a, p, b), q, c);
    return { problem: `${a} ${p} ${b} ${q} ${c}`, answer: String(answer) };
  });
}
