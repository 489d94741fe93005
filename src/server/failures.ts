/** What a route throws when it cannot do what was asked, and how every failure is told. */
import type { ErrorHandler, NotFoundHandler } from 'hono';
import {
  BudgetError,
  ConfigError,
  DataError,
  isAbort,
  NetworkError,
  WhetstoneError,
} from '../errors.ts';
import { OldConfigError } from '../runs/run-config.ts';
import type { ApiError } from './contract.ts';
import { failure } from './guard.ts';
import type { Redact } from './redact.ts';

/** A request that is answered by a status of its own. */
export class RequestFailure extends WhetstoneError {
  readonly status: number;
  override readonly code: string;
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

export function notFound(what: string): RequestFailure {
  return new RequestFailure(404, 'not-found', `${what}: there is none`);
}

/** Status and words of whatever was thrown; never a stack. */
export function describeFailure(error: unknown): { status: number; error: ApiError } {
  const told = (status: number, { code, message }: WhetstoneError) => ({
    status,
    error: { code, message },
  });
  if (error instanceof RequestFailure) return told(error.status, error);
  if (error instanceof ConfigError || error instanceof BudgetError) return told(400, error);
  if (error instanceof DataError || error instanceof OldConfigError) return told(422, error);
  if (error instanceof NetworkError) return told(502, error);
  if (error instanceof WhetstoneError) return told(500, error);
  if (isAbort(error))
    return { status: 499, error: { code: 'interrupted', message: 'interrupted' } };
  const message = error instanceof Error ? error.message : String(error);
  return { status: 500, error: { code: 'internal', message: `internal error: ${message}` } };
}

export function onError(redact: Redact): ErrorHandler {
  return (thrown, c) => {
    const { status, error } = describeFailure(thrown);
    return failure(c, status, { ...error, message: redact(error.message) });
  };
}

export const onNotFound: NotFoundHandler = (c) =>
  failure(c, 404, { code: 'not-found', message: `${c.req.path}: there is no such address here` });
