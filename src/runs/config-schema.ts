/** The one schema of a configuration: parsing, defaults, and the JSON Schema for editors. */
import { z } from 'zod';
import { methods } from '../methods/index.ts';
import { DEFAULT_MODEL } from '../models/model-registry.ts';
import { contextParts } from '../policy/index.ts';
import { priceTableSchema } from '../providers/index.ts';
import { taskConfigSchema } from '../tasks/config.ts';
import { composedRewardSchema } from '../tasks/rewards/composed.ts';
import { rewardNames } from '../tasks/rewards/index.ts';
import { modelReference } from './model-reference.ts';

export const configSchema = z.strictObject({
  task: taskConfigSchema.describe('What the prompt is for: examples with gold labels'),
  taskLm: modelReference
    .default(`local:${DEFAULT_MODEL}`)
    .describe('The frozen LM that reads the prompt'),
  policyLm: modelReference.default(`local:${DEFAULT_MODEL}`).describe('The LM that writes prompts'),
  policy: z
    .strictObject({
      context: z
        .array(z.enum(contextParts))
        .min(1)
        .default(['description', 'examples'])
        .describe(
          'What a policy that writes in words reads; with conversation or question it writes a prompt for each example',
        ),
    })
    .prefault({})
    .describe('What the policy LM conditions on'),
  method: z
    .looseObject({
      name: z.string().min(1).default('policy-gradient').describe(Object.keys(methods).join(', ')),
    })
    .prefault({})
    .describe('How the prompt is found; other keys are options of the method'),
  methods: z
    .record(z.string(), z.looseObject({}))
    .optional()
    .describe('Options by method, as in { soft-q: { learningRate: 1e-4 } }: for comparisons'),
  labelWords: z
    .enum(['given', 'search'])
    .default('given')
    .describe(
      'given: the words of task.labels; search: one word a class, found from the train examples before the run',
    ),
  reward: z
    .union([z.enum(rewardNames), composedRewardSchema])
    .default('piecewise')
    .describe(
      "How the label words' scores become a reward, piecewise being RLPrompt's; or a reward composed of parts: metrics, format, length",
    ),
  budget: z
    .strictObject({
      evaluations: z
        .number()
        .int()
        .positive()
        .optional()
        .describe(
          'Task-LM example evaluations of a search: calls, where the task LM is asked in text, of which none is sent beyond; where it is computed here, the last step is whole; no limit when left out',
        ),
      minutes: z
        .number()
        .positive()
        .max(100_000)
        .default(10)
        .describe('Most minutes of a search, which ends in the middle of a step if need be'),
      calls: z
        .number()
        .int()
        .positive()
        .optional()
        .describe(
          'Most calls of models that answer in text, all roles and the whole run or comparison together',
        ),
      tokens: z
        .number()
        .int()
        .positive()
        .optional()
        .describe(
          'Most tokens sent to and written by models that answer in text, all roles and the whole run or comparison together',
        ),
      usd: z
        .number()
        .nonnegative()
        .default(0)
        .describe(
          'Most US dollars for paid services, all roles and the whole run or comparison together; 0: none is paid for',
        ),
    })
    .prefault({})
    .describe('Where the search ends: at whichever limit comes first'),
  fluency: z
    .strictObject({
      weight: z
        .number()
        .min(0)
        .max(1e6)
        .default(0)
        .describe('Taken off a reward for each nat of ln perplexity; 0: fluency is free'),
      maxPerplexity: z
        .number()
        .min(1)
        .optional()
        .describe('Prompts above it are never put forward; no limit when left out'),
    })
    .prefault({})
    .describe('Price of prompts that the policy LM finds unlikely'),
  prices: priceTableSchema
    .optional()
    .describe('US dollars per million tokens by "PROVIDER:MODEL", above the known ones'),
  seed: z
    .number()
    .int()
    .min(0)
    .max(2 ** 53 - 1)
    .default(1)
    .describe('Seed of all randomness'),
  precision: z
    .strictObject({
      search: z.enum(['int8', 'float32']).default('int8').describe('Precision while searching'),
    })
    .prefault({})
    .describe('Finalists are always scored again in float32'),
  device: z.enum(['cpu', 'webgpu', 'cuda']).default('cpu').describe('Where tensors are computed'),
});

/** A configuration with every default filled in. */
export type Config = z.infer<typeof configSchema>;

/** JSON Schema of the file, for editors. */
export function configJsonSchema(): object {
  const schema = z.toJSONSchema(configSchema, { io: 'input' });
  return { ...schema, title: 'Whetstone configuration' };
}
