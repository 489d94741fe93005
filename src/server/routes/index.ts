/** Every route of the studio's API: the application and the OpenAPI document are made from this table. */
import { z } from 'zod';
import { versions } from '../../runs/versions.ts';
import { openApi } from '../openapi.ts';
import { type Route, route } from '../route.ts';
import { aboutRoutes } from './about.ts';
import { actionRoutes } from './actions.ts';
import { authoringRoutes } from './authoring.ts';
import { comparisonRoutes } from './comparisons.ts';
import { playgroundRoutes } from './playground.ts';
import { runRoutes } from './runs.ts';

const showDocument = route({
  method: 'get',
  path: '/api/openapi.json',
  summary: 'OpenAPI 3.1 of all of these',
  answer: z.looseObject({ openapi: z.string() }),
  handle: () => openApi(routes, versions().whetstone!),
});

export const routes: readonly Route[] = [
  ...runRoutes,
  ...actionRoutes,
  ...comparisonRoutes,
  ...playgroundRoutes,
  ...authoringRoutes,
  ...aboutRoutes,
  showDocument,
];
