/**
 * The studio's page as Vite built it: files that were there when it was looked through, by their exact
 * names, so that no path leads out of the folder. Names in assets/ hold a hash of their content and are
 * kept by browsers; the page's own addresses are answered with index.html.
 */
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import type { Context } from 'hono';
import { failure } from './guard.ts';

export interface StaticFiles {
  /** The file of this address, or undefined where there is none. */
  answer(c: Context): Promise<Response | undefined>;
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json; charset=utf-8',
  '.webmanifest': 'application/manifest+json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.txt': 'text/plain; charset=utf-8',
};

export function staticFiles(folder: string): StaticFiles {
  let files: ReadonlyMap<string, string> | undefined;
  const index = async () => {
    // A page that is built later is found then.
    if (!files?.has('/index.html')) files = await filesOf(folder);
    return files;
  };
  return {
    async answer(c) {
      const known = await index();
      const { path } = c.req;
      const isPage = extname(path) === '' || path === '/index.html';
      const file = known.get(path) ?? (isPage ? known.get('/index.html') : undefined);
      if (file === undefined) {
        return isPage
          ? failure(c, 503, {
              code: 'not-built',
              message: 'the page of the studio is not built; build it with "npm run build"',
            })
          : undefined;
      }
      const isHashed = path.startsWith('/assets/');
      return new Response(new Uint8Array(await readFile(file)), {
        headers: {
          'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
          'cache-control': isHashed ? 'private, max-age=31536000, immutable' : 'no-cache',
        },
      });
    },
  };
}

async function filesOf(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile() && !entry.name.endsWith('.map'));
  return new Map(
    files.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [`/${relative(folder, path).split(sep).join('/')}`, path];
    }),
  );
}
