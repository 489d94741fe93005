/**
 * Who may use the studio: whoever has its launch address, once. The address holds a token of 256 random
 * bits that is good for one visit; the visit gets a cookie that no script reads (HttpOnly), that no other
 * site's page sends along (SameSite=Strict) and that ends with the browser. Everything else answers 401.
 * The cookie's name holds the port, since browsers share cookies between the ports of a host.
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie } from 'hono/cookie';
import { failure } from './guard.ts';

export interface Launch {
  /** What stands behind "?token=" in the launch address. */
  readonly token: string;
  /** Answers GET /launch: the cookie and a way to the page, or 401. */
  readonly answer: (c: Context) => Response;
  /** Lets through who has the cookie. */
  readonly require: MiddlewareHandler;
}

export const LAUNCH_PATH = '/launch';

export function createLaunch(port: number): Launch {
  const token = randomBytes(32).toString('base64url');
  const session = randomBytes(32).toString('base64url');
  const name = `whetstone-${port}`;
  let isUsed = false;
  const isKnown = (c: Context) => isSame(getCookie(c, name) ?? '', session);
  return {
    token,
    answer(c) {
      if (c.req.method !== 'GET') return refusal(c);
      if (isKnown(c)) return c.redirect('/', 303);
      const isRight = isSame(c.req.query('token') ?? '', token);
      if (!isRight || isUsed) return refusal(c);
      isUsed = true;
      c.header('set-cookie', `${name}=${session}; Path=/; HttpOnly; SameSite=Strict`);
      return c.redirect('/', 303);
    },
    require: async (c, next) => (isKnown(c) ? next() : refusal(c)),
  };
}

/** Takes the same time wherever two texts differ. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(expected));
}

const ADVICE =
  'open the launch address that "whetstone studio" printed; it is good once, and the command started again prints another';

function refusal(c: Context): Response {
  const isPage = c.req.method === 'GET' && /\btext\/html\b/.test(c.req.header('accept') ?? '');
  if (!isPage) return failure(c, 401, { code: 'unauthorized', message: ADVICE });
  const body = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Whetstone studio</title>
<h1>Open the launch address</h1>
<p>This page opens with the address that the command <code>whetstone studio</code> printed. It is good once; the command started again prints another.</p>
</html>
`;
  return c.html(body, 401);
}
