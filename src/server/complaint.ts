/** What is wrong with a request, in the words that a configuration is complained of with. */
import type { z } from 'zod';
import { expectation } from '../util/expectation.ts';

/** The dotted place of an issue in `data`, and what it says; a schema's own sentence stays as it is. */
export function complaintOf(
  issue: z.core.$ZodIssue,
  data: unknown,
): { readonly param: string; readonly sentence: string } {
  const { path, message } = issue;
  const isOwn = !/^(Invalid |Too |Unrecognized )/.test(message);
  return {
    param: path.map(String).join('.'),
    sentence: isOwn ? message : expectation(issue, data),
  };
}
