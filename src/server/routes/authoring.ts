/** What a form for a new run needs: the schema, the check of what was typed, a look at the data. */
import { z } from 'zod';
import { WhetstoneError } from '../../errors.ts';
import { type Method, methods } from '../../methods/index.ts';
import { configJsonSchema, problemsOf } from '../../runs/config.ts';
import { planRun } from '../../runs/plan.ts';
import { configOf as configOfRun } from '../../runs/run-config.ts';
import { reportData } from '../../tasks/data-report.ts';
import { dataReport, dataRequest, newRun, planAnswer, schemaAnswer } from '../answers.ts';
import type { PlanAnswer } from '../contract.ts';
import { configOf, refuseKeys } from '../own-code.ts';
import { route } from '../route.ts';
import type { Studio } from '../studio.ts';
import { runOf } from './runs.ts';

const showSchema = route({
  method: 'get',
  path: '/api/schema',
  summary: 'The JSON Schema of a configuration, the options of methods, and an example',
  answer: schemaAnswer,
  handle: (_, { example }) => ({
    config: configJsonSchema(),
    methods: (Object.values(methods) as unknown as Method[]).map((method) => ({
      name: method.name,
      summary: method.summary,
      finds: method.finds ?? 'text',
      options: z.toJSONSchema(method.options, { io: 'input', unrepresentable: 'any' }),
    })),
    example,
  }),
});

const plan = route({
  method: 'post',
  path: '/api/plan',
  summary: 'What is wrong with a configuration, or what its run would ask for; nothing is sent',
  body: newRun,
  answer: planAnswer,
  async handle({ body: { yaml } }, studio) {
    const problems = await checked(studio, yaml);
    if (problems) return { problems };
    try {
      const { calls, tokens, usd, minutes, notes } = await planRun(configOf(studio, yaml));
      return { problems: [], plan: { calls, tokens, usd, minutes, notes } };
    } catch (error) {
      if (error instanceof WhetstoneError) return { problems: [problemOf(error)] };
      throw error;
    }
  },
});

/** Each problem in its place, as far as the schema sees them; else the first. */
async function checked(
  { redact }: Studio,
  yaml: string,
): Promise<PlanAnswer['problems'] | undefined> {
  try {
    refuseKeys(redact, [yaml]);
    const problems = problemsOf(yaml, 'the configuration');
    return problems.length > 0 ? problems.slice(0, 50) : undefined;
  } catch (error) {
    if (error instanceof WhetstoneError) return [problemOf(error)];
    throw error;
  }
}

/** "task.input: no such column" is told at task.input. */
function problemOf({ message }: WhetstoneError): PlanAnswer['problems'][number] {
  const [, path, rest] = /^([a-zA-Z]+(?:\.[a-zA-Z0-9-]+)*): (.*)$/s.exec(message) ?? [];
  const isKey = path !== undefined && Object.hasOwn(topLevel(), path.split('.')[0]!);
  return isKey ? { path, message: rest! } : { path: '', message };
}

function topLevel(): object {
  return (configJsonSchema() as { properties?: object }).properties ?? {};
}

const showData = route({
  method: 'post',
  path: '/api/data',
  summary: 'Splits, gold values, first examples, and texts that stand more than once',
  body: dataRequest,
  answer: dataReport,
  handle({ body }, studio) {
    const { config, folder } =
      'yaml' in body ? configOf(studio, body.yaml) : configOfRun(runOf(studio, body.run));
    return reportData(config.task, { baseFolder: folder, seed: config.seed });
  },
});

export const authoringRoutes = [showSchema, plan, showData];
