/** What a run's prompt, or prompts that a person types, make the task LM answer. */
import { z } from 'zod';
import type { Solution } from '../../methods/index.ts';
import { play, solutionOfRun } from '../../runs/playground.ts';
import { configOf as configOfRun } from '../../runs/run-config.ts';
import type { StoredRun } from '../../runs/store.ts';
import { exampleTable, openSplit, playgroundAnswer, playgroundRequest } from '../answers.ts';
import { refuseOwnCode } from '../own-code.ts';
import { route, whole } from '../route.ts';
import { defined, scoreOf } from '../run-view.ts';
import type { Studio } from '../studio.ts';
import { runOf } from './runs.ts';

/** Examples that are shown when nobody says how many. */
const USUAL = 16;

const showExamples = route({
  method: 'get',
  path: '/api/runs/:id/examples',
  summary: "Examples of an open split with what the run's prompt makes the task LM answer",
  query: z.strictObject({
    split: openSplit.default('validation'),
    limit: whole(1, 200, USUAL),
  }),
  answer: exampleTable,
  async handle({ params, query, signal }, studio) {
    const run = runOf(studio, params.id!);
    return studio.benches.use(loadedOf(run), signal, async (bench) => {
      const solution = await solutionOfRun(run, bestOf(studio, run), bench);
      try {
        const [played] = await play(bench, [solution], query);
        return { split: query.split, rows: played!.rows };
      } finally {
        if (solution.kind !== 'text') await solution.close();
      }
    });
  },
});

const askPlayground = route({
  method: 'post',
  path: '/api/playground',
  summary: 'One prompt or two tried on examples of an open split, or on a text of your own',
  body: playgroundRequest,
  answer: playgroundAnswer,
  async handle({ body, signal }, studio) {
    const { prompts, split = 'validation', limit = USUAL, input } = body;
    const run = runOf(studio, body.run);
    const found = run.result?.kindOfResult === 'text' ? run.result : undefined;
    const solutions = prompts.map((text): Solution => {
      // What was found stands in the template that it was found in.
      const template = text === found?.prompt ? found.template : undefined;
      return { kind: 'text', text, template };
    });
    return studio.benches.use(loadedOf(run), signal, async (bench) => {
      const played = await play(bench, solutions, { split, limit, input });
      return {
        prompts: played.map(({ score, ...rest }, i) =>
          defined({ prompt: prompts[i]!, ...rest, score: scoreOf(score) }),
        ),
      };
    });
  },
});

function loadedOf(run: StoredRun) {
  const loaded = configOfRun(run);
  refuseOwnCode(loaded.config);
  return loaded;
}

function bestOf({ store }: Studio, { id }: StoredRun): string | undefined {
  return store.queries.lastEvents(id, 'step', 1)[0]?.bestPrompt;
}

export const playgroundRoutes = [showExamples, askPlayground];
