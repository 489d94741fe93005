/** The table of routes as an OpenAPI 3.1 document, whose schemas are JSON Schema as zod writes it. */
import { z } from 'zod';
import { apiError } from './answers.ts';
import type { Route } from './route.ts';

type Json = Readonly<Record<string, unknown>>;

export function openApi(routes: readonly Route[], version: string): { openapi: string } & Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const path = openPath(route.path);
    paths[path] = { ...paths[path], [route.method]: operation(route) };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Whetstone studio',
      version,
      description:
        'The API of the studio: on loopback, for who has the cookie that the launch address gives. A failure is a status with { code, message }.',
    },
    paths,
    components: {
      securitySchemes: {
        launch: {
          type: 'apiKey',
          in: 'cookie',
          name: 'whetstone-PORT',
          description: 'Set by GET /launch?token=… with the token of the launch address, once',
        },
      },
      schemas: { ApiError: schemaOf(apiError, 'output') },
    },
    security: [{ launch: [] }],
  };
}

/** "/api/runs/{id}" for "/api/runs/:id". */
export function openPath(path: string): string {
  return path.replace(/:([a-z]+)/g, '{$1}');
}

function operation(route: Route): Json {
  const failure = { $ref: '#/components/schemas/ApiError' };
  return {
    operationId: operationId(route),
    summary: route.summary,
    ...withParameters(route),
    ...(route.body
      ? { requestBody: { required: true, content: json(schemaOf(route.body, 'input')) } }
      : {}),
    responses: {
      [route.status ?? 200]: { description: 'Done', content: contentOf(route.answer) },
      default: { description: 'What went wrong, in one sentence', content: json(failure) },
    },
  };
}

/** "getRunsIdSeries" */
function operationId({ method, path }: Route): string {
  const words = path
    .replace(/^\/api\//, '')
    .split(/[^a-zA-Z]+/)
    .filter(Boolean);
  return method + words.map((word) => word[0]!.toUpperCase() + word.slice(1)).join('');
}

function withParameters({ path, query }: Route): Json {
  const inPath = [...path.matchAll(/:([a-z]+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
  const { properties = {}, required = [] } = (query ? schemaOf(query, 'input') : {}) as {
    properties?: Record<string, Json>;
    required?: string[];
  };
  const inQuery = Object.entries(properties).map(([name, schema]) => ({
    name,
    in: 'query',
    required: required.includes(name),
    schema,
  }));
  const parameters = [...inPath, ...inQuery];
  return parameters.length > 0 ? { parameters } : {};
}

function contentOf(answer: Route['answer']): Json {
  if (!('events' in answer)) return json(schemaOf(answer, 'output'));
  const events = Object.entries(answer.events).map(([name, schema]) => ({
    title: name,
    description: `data of "event: ${name}"`,
    ...schemaOf(schema, 'output'),
  }));
  return { 'text/event-stream': { schema: { oneOf: events } } };
}

function json(schema: Json): Json {
  return { 'application/json': { schema } };
}

function schemaOf(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any' });
  return rest;
}
