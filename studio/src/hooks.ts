/** What pages share: loading, polling, the clock, sizes, and the choice of colours. */
import {
  type RefObject,
  useCallback,
  useEffect,
  useRef,
  useState,
  useSyncExternalStore,
} from 'react';

export interface Loaded<T> {
  readonly data?: T;
  readonly error?: Error;
  readonly isLoading: boolean;
  reload(): void;
}

/**
 * Loads when `key` changes, again on `reload`, and every `everyMs` while the page is seen. What was
 * loaded stays on the screen while it is loaded anew; with another key it does not.
 */
export function useLoaded<T>(
  key: string | undefined,
  load: (signal: AbortSignal) => Promise<T>,
  { everyMs }: { everyMs?: number } = {},
): Loaded<T> {
  const [state, setState] = useState<{ key?: string; data?: T; error?: Error }>({});
  const [turn, setTurn] = useState(0);
  const loader = useRef(load);
  loader.current = load;
  // biome-ignore lint/correctness/useExhaustiveDependencies: turn asks for another load
  useEffect(() => {
    if (key === undefined) return;
    const abort = new AbortController();
    loader.current(abort.signal).then(
      (data) => !abort.signal.aborted && setState({ key, data }),
      (error: Error) =>
        !abort.signal.aborted &&
        setState((before) => ({ ...(before.key === key ? before : {}), key, error })),
    );
    return () => abort.abort();
  }, [key, turn]);
  const reload = useCallback(() => setTurn((n) => n + 1), []);
  useEffect(() => {
    if (everyMs === undefined) return;
    const timer = setInterval(() => document.visibilityState === 'visible' && reload(), everyMs);
    return () => clearInterval(timer);
  }, [everyMs, reload]);
  const isCurrent = state.key === key;
  return {
    ...(isCurrent && state.data !== undefined ? { data: state.data } : {}),
    ...(isCurrent && state.error ? { error: state.error } : {}),
    isLoading: key !== undefined && !isCurrent,
    reload,
  };
}

/** The time, anew every `everyMs`. */
export function useNow(everyMs = 10_000): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs);
    return () => clearInterval(timer);
  }, [everyMs]);
  return now;
}

/** The value once it has not changed for a while. */
export function useSettled<T>(value: T, ms: number): T {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return settled;
}

/** Width of an element in CSS pixels; 0 before it is laid out. */
export function useWidth<E extends HTMLElement>(): [RefObject<E | null>, number] {
  const ref = useRef<E>(null);
  const [width, setWidth] = useState(0);
  useEffect(() => {
    if (!ref.current) return;
    const observer = new ResizeObserver(([entry]) =>
      setWidth(Math.floor(entry!.contentRect.width)),
    );
    observer.observe(ref.current);
    return () => observer.disconnect();
  }, []);
  return [ref, width];
}

/** Remembered in this browser; where it cannot be, for as long as the page is open. */
export function useRemembered<T extends string>(name: string, initial: T): [T, (value: T) => void] {
  const [value, setValue] = useState<T>(() => (recall(name) as T | null) ?? initial);
  const set = useCallback(
    (next: T) => {
      setValue(next);
      try {
        localStorage.setItem(`whetstone.${name}`, next);
      } catch {
        // A browser that keeps nothing.
      }
    },
    [name],
  );
  return [value, set];
}

function recall(name: string): string | null {
  try {
    return localStorage.getItem(`whetstone.${name}`);
  } catch {
    return null;
  }
}

export type Theme = 'system' | 'light' | 'dark';

const dark = window.matchMedia('(prefers-color-scheme: dark)');

/** Sets the page's colours; charts that draw on a canvas listen for the event. */
export function applyTheme(theme: Theme): void {
  document.documentElement.dataset.theme =
    theme === 'system' ? (dark.matches ? 'dark' : 'light') : theme;
  window.dispatchEvent(new Event('themechange'));
}

export function useTheme(): [Theme, (theme: Theme) => void] {
  const [theme, setTheme] = useRemembered<Theme>('theme', 'system');
  useEffect(() => {
    applyTheme(theme);
    const follow = () => applyTheme(theme);
    dark.addEventListener('change', follow);
    return () => dark.removeEventListener('change', follow);
  }, [theme]);
  return [theme, setTheme];
}

function onTheme(listener: () => void): () => void {
  window.addEventListener('themechange', listener);
  return () => window.removeEventListener('themechange', listener);
}

/** "light" or "dark": what is shown now. */
export function useShownTheme(): string {
  return useSyncExternalStore(onTheme, () => document.documentElement.dataset.theme ?? 'light');
}
