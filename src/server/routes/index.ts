/** Every route of the studio's API, in the order of contract.ts. */
import type { Route } from '../route.ts';
import { actionRoutes } from './actions.ts';
import { runRoutes } from './runs.ts';

export const routes: readonly Route[] = [...runRoutes, ...actionRoutes];
