/**
 * A router over the address's hash, so that the server serves one page and a reload stays in place:
 * #/runs/ID?tab=log is { path: ['runs', 'ID'], query: { tab: 'log' } }.
 */
import { useSyncExternalStore } from 'react';

export interface Route {
  readonly path: readonly string[];
  readonly query: Readonly<Record<string, string>>;
}

export function parseRoute(hash: string): Route {
  const [path = '', query = ''] = hash.replace(/^#\/?/, '').split('?');
  return {
    path: path.split('/').filter(Boolean).map(decode),
    query: Object.fromEntries(new URLSearchParams(query)),
  };
}

/** An address with a broken % sequence was typed by hand: taken as it stands. */
function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

export function hrefOf(
  path: readonly string[],
  query: Readonly<Record<string, string>> = {},
): string {
  const search = new URLSearchParams(query).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${search ? `?${search}` : ''}`;
}

export function go(path: readonly string[], query?: Readonly<Record<string, string>>): void {
  window.location.hash = hrefOf(path, query);
}

function subscribe(onChange: () => void): () => void {
  window.addEventListener('hashchange', onChange);
  return () => window.removeEventListener('hashchange', onChange);
}

let known: { hash: string; route: Route } | undefined;

function current(): Route {
  const { hash } = window.location;
  if (known?.hash !== hash) known = { hash, route: parseRoute(hash) };
  return known.route;
}

export function useRoute(): Route {
  return useSyncExternalStore(subscribe, current);
}
