/**
 * Extraction: the fields of the gold answer, a JSON object, against those of the first JSON object in
 * the output. A field is a path with a value that is no object; the items of a list share a path,
 * whatever their order.
 *
 *   precision = right / fields of the output, recall = right / fields of the gold, F1 = 2PR / (P + R)
 *
 * An output without an object scores 0: writing one was the task.
 */
import { z } from 'zod';
import { firstObject, type JsonObject, type JsonValue } from './json-text.ts';
import { bestOf, eachAnswer, metric, refuseGolds } from './metric.ts';
import { countItems, f1Of, sharedCount } from './words.ts';

/** Between the keys of a path; no key of a sane object holds it. */
const STEP = '\u0000';

export const json = metric({
  name: 'json',
  summary: "Precision, recall or F1 over the fields of the gold answer's JSON object.",
  options: {
    measure: z
      .enum(['f1', 'precision', 'recall', 'object'])
      .default('f1')
      .describe(
        'recall: fields that were found; precision: fields of the output that are right; object: whether there is a JSON object at all',
      ),
    exact: z
      .boolean()
      .default(false)
      .describe('Whether case, white space and "42" for 42 make a difference'),
  },
  open({ measure, exact }) {
    // A check of the form alone has no gold answers.
    if (measure === 'object') {
      return eachAnswer('json', ({ output }) => (firstObject(output) === undefined ? 0 : 1));
    }
    const fields = (text: string) => {
      const object = firstObject(text);
      return object === undefined ? undefined : fieldsOf(object, exact);
    };
    return eachAnswer(
      'json',
      ({ output, golds, input }) => {
        const found = fields(output);
        if (found === undefined) return 0;
        return bestOf({ output, golds, input }, (_, gold) =>
          compare(found, fields(gold) ?? [], measure),
        );
      },
      {
        check: (golds, place) =>
          refuseGolds(golds, place, {
            name: 'json',
            isFit: isObject,
            wants: 'a JSON object in every gold answer',
            mend: 'correct it or take another metric, for example token-f1',
          }),
      },
    );
  },
});

function compare(
  output: readonly string[],
  gold: readonly string[],
  measure: 'f1' | 'precision' | 'recall',
): number {
  const right = sharedCount(countItems(output), countItems(gold));
  // Nothing was asked for or nothing was said: right where the other side is empty, too.
  const share = (part: number, whole: number, other: number) =>
    whole === 0 ? Number(other === 0) : part / whole;
  const precision = share(right, output.length, gold.length);
  const recall = share(right, gold.length, output.length);
  return { precision, recall, f1: f1Of(precision, recall) }[measure];
}

/** Each field as one text: its path and its value. */
function fieldsOf(object: JsonObject, exact: boolean): string[] {
  const fields: string[] = [];
  const visit = (value: JsonValue, path: string) => {
    if (value instanceof Map && value.size > 0) {
      for (const [key, inner] of value) visit(inner, `${path}${STEP}${key}`);
    } else if (Array.isArray(value) && value.length > 0) {
      for (const inner of value) visit(inner, `${path}${STEP}[]`);
    } else fields.push(`${path}${STEP}${STEP}${exact ? exactly(value) : loosely(value)}`);
  };
  for (const [key, value] of object) visit(value, key);
  return fields;
}

function exactly(value: JsonValue): string {
  if (value instanceof Map) return '{}';
  return JSON.stringify(value);
}

/** 42, "42" and "42.0" are one; so are "New  York" and "new york", true and "True". */
function loosely(value: JsonValue): string {
  if (value instanceof Map) return '{}';
  if (Array.isArray(value)) return '[]';
  const text = String(value).trim().replace(/\s+/g, ' ').toLowerCase();
  // A text with leading zeros is no number but a code.
  return /^-?(?:0|[1-9]\d{0,14})(?:\.\d{1,15})?$/.test(text) ? String(Number(text)) : text;
}

function isObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return value !== null && typeof value === 'object' && !Array.isArray(value);
  } catch {
    return false;
  }
}
