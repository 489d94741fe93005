/** The frame of the page: navigation, colours, shortcuts, and the page that the address names. */
import { lazy, Suspense, useEffect, useRef, useState } from 'react';
import { api } from './api.ts';
import { type Theme, useLoaded, useRemembered, useTheme } from './hooks.ts';
import { ComparisonPage, ComparisonsPage } from './pages/compare.tsx';
import { DataPage } from './pages/data.tsx';
import { DiffPage } from './pages/diff.tsx';
import { ModelsPage } from './pages/models.tsx';
import { PlaygroundPage } from './pages/playground.tsx';
import { RunPage } from './pages/run.tsx';
import { RunsPage } from './pages/runs.tsx';
import { Announcer } from './parts/announce.tsx';
import { Failure, Loading } from './parts/bits.tsx';
import { Dialog } from './parts/dialog.tsx';
import { go, hrefOf, type Route, useRoute } from './router.ts';

/** Brings the reader of YAML with it, which no other page needs. */
const NewRunPage = lazy(() =>
  import('./pages/new-run.tsx').then((page) => ({ default: page.NewRunPage })),
);

const places = [
  { path: 'runs', title: 'Runs', key: 'r' },
  { path: 'compare', title: 'Compare', key: 'c' },
  { path: 'playground', title: 'Playground', key: 'p' },
  { path: 'new', title: 'New run', key: 'n' },
  { path: 'models', title: 'Models', key: 'm' },
  { path: 'data', title: 'Data', key: 'd' },
] as const;

export function App() {
  const route = useRoute();
  const [theme, setTheme] = useTheme();
  const [keys, setKeys] = useRemembered<'on' | 'off'>('keys', 'on');
  const [isHelping, setHelping] = useState(false);
  const about = useLoaded('about', api.about);
  const main = useRef<HTMLElement>(null);
  useShortcuts(
    keys === 'on',
    () => setHelping(true),
    () => setTheme(next(theme)),
  );
  useArrival(route, main);
  const here = route.path[0] === 'diff' ? 'runs' : (route.path[0] ?? 'runs');
  return (
    <>
      <button type="button" className="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header className="top">
        <a className="brand" href={hrefOf(['runs'])}>
          <svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true">
            <rect x="2" y="19" width="28" height="9" rx="2.5" className="stone" />
            <path d="M5 17 24 4l4 4-15 9z" className="blade" />
          </svg>
          Whetstone
        </a>
        <nav aria-label="Pages">
          {places.map(({ path, title }) => (
            <a key={path} href={hrefOf([path])} aria-current={here === path ? 'page' : undefined}>
              {title}
            </a>
          ))}
        </nav>
        <div className="tools">
          <label>
            <span className="hidden">Colours</span>
            <select value={theme} onChange={(event) => setTheme(event.target.value as Theme)}>
              <option value="system">Auto</option>
              <option value="light">Light</option>
              <option value="dark">Dark</option>
            </select>
          </label>
          <button type="button" aria-label="Keyboard shortcuts" onClick={() => setHelping(true)}>
            ?
          </button>
        </div>
      </header>
      <main ref={main} id="main" tabIndex={-1}>
        <Failure error={about.error} retry={about.reload} />
        <Suspense fallback={<Loading what="the page" />}>
          <Current route={route} />
        </Suspense>
      </main>
      <footer>
        {about.data && (
          <>
            Whetstone {about.data.version} · runs in <code>{about.data.store}</code> · paths from{' '}
            <code>{about.data.folder}</code>
          </>
        )}
      </footer>
      <Announcer />
      {isHelping && (
        <Dialog title="Keyboard shortcuts" onClose={() => setHelping(false)}>
          <dl className="keys">
            {places.map(({ title, key }) => (
              <div key={key}>
                <dt>
                  <kbd>g</kbd> <kbd>{key}</kbd>
                </dt>
                <dd>{title}</dd>
              </div>
            ))}
            <div>
              <dt>
                <kbd>/</kbd>
              </dt>
              <dd>Search in the list of runs</dd>
            </div>
            <div>
              <dt>
                <kbd>t</kbd>
              </dt>
              <dd>Colours: auto, light, dark</dd>
            </div>
            <div>
              <dt>
                <kbd>?</kbd>
              </dt>
              <dd>This list</dd>
            </div>
            <div>
              <dt>
                <kbd>←</kbd> <kbd>→</kbd> <kbd>+</kbd> <kbd>−</kbd> <kbd>0</kbd>
              </dt>
              <dd>In a chart: move, zoom, everything</dd>
            </div>
          </dl>
          <label className="check">
            <input
              type="checkbox"
              checked={keys === 'on'}
              onChange={(event) => setKeys(event.target.checked ? 'on' : 'off')}
            />
            Shortcuts of single keys
          </label>
          <div className="row">
            <button type="button" onClick={() => setHelping(false)}>
              Close
            </button>
          </div>
        </Dialog>
      )}
    </>
  );
}

const next = (theme: Theme): Theme =>
  theme === 'system' ? 'light' : theme === 'light' ? 'dark' : 'system';

function Current({ route: { path, query } }: { route: Route }) {
  const [place = 'runs', first, second] = path;
  if (place === 'runs')
    return first === undefined ? <RunsPage /> : <RunPage key={first} id={first} />;
  if (place === 'diff' && first !== undefined && second !== undefined)
    return <DiffPage a={first} b={second} />;
  if (place === 'compare') {
    return first === undefined ? <ComparisonsPage /> : <ComparisonPage key={first} id={first} />;
  }
  if (place === 'playground')
    return <PlaygroundPage key={query.run} run={query.run} prompt={query.prompt} />;
  if (place === 'new')
    return <NewRunPage from={query.from} isComparison={query.compare !== undefined} />;
  if (place === 'models') return <ModelsPage />;
  if (place === 'data') return <DataPage run={query.run} />;
  return (
    <>
      <h1 tabIndex={-1}>There is no such page</h1>
      <p>
        <a href={hrefOf(['runs'])}>To the list of runs</a>
      </p>
    </>
  );
}

/** Arriving at another page moves the focus to its heading and names the window after it. */
function useArrival(route: Route, main: { readonly current: HTMLElement | null }): void {
  const place = route.path.join('/');
  const isFirst = useRef(true);
  // biome-ignore lint/correctness/useExhaustiveDependencies: it is the place that was arrived at
  useEffect(() => {
    const moves = !isFirst.current;
    isFirst.current = false;
    if (moves) window.scrollTo(0, 0);
    const arrive = (): boolean => {
      const heading = main.current?.querySelector('h1');
      document.title = `${heading?.textContent ?? 'Studio'} · Whetstone`;
      if (moves) heading?.focus({ preventScroll: true });
      return heading !== null && heading !== undefined;
    };
    if (arrive() || !main.current) return;
    // A page that asks the server first has no heading yet.
    const watch = new MutationObserver(() => {
      if (arrive()) watch.disconnect();
    });
    watch.observe(main.current, { childList: true, subtree: true });
    return () => watch.disconnect();
  }, [place, main]);
}

function useShortcuts(isOn: boolean, help: () => void, colours: () => void): void {
  const acts = useRef({ help, colours });
  acts.current = { help, colours };
  useEffect(() => {
    if (!isOn) return;
    let afterG = 0;
    const listen = (event: KeyboardEvent) => {
      if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
      const target = event.target as HTMLElement;
      if (target.closest('input, textarea, select, dialog, [contenteditable]')) return;
      const isSecond = Date.now() - afterG < 1500;
      afterG = 0;
      const place = isSecond ? places.find(({ key }) => key === event.key) : undefined;
      if (place) go([place.path]);
      else if (event.key === 'g') afterG = Date.now();
      else if (event.key === '?') acts.current.help();
      else if (event.key === 't') acts.current.colours();
      else if (event.key === '/')
        document.querySelector<HTMLInputElement>('[data-search]')?.focus();
      else return;
      event.preventDefault();
    };
    window.addEventListener('keydown', listen);
    return () => window.removeEventListener('keydown', listen);
  }, [isOn]);
}
