/**
 * A large run as a person meets it: Chromium opens its page with an empty cache, then a chart is zoomed
 * and panned by the mouse. Frames are counted in the page itself, between two animation frames.
 */
import type { BrowserContext, Page } from 'playwright-core';
import { findChromium, launchChromium } from '../test/support/browser.ts';

export interface Frames {
  readonly frames: number;
  readonly perSecond: number;
  /** Between two frames: the 95th percentile, and the longest. */
  readonly p95Ms: number;
  readonly worstMs: number;
  /** The page's own work in a frame: scripts, styles, layout. */
  readonly workMs: number;
}

export interface PageFigures {
  /** Since the address was given: something is painted, the run and its charts are. */
  readonly firstPaintMs: number;
  readonly dataMs: number;
  /** Of these, the page's own work: the rest is waiting. */
  readonly workMs: number;
  /** Nothing is moved: what this browser reaches on this machine. */
  readonly rest: Frames;
  /** The box of a stretch to zoom into is drawn. */
  readonly drag: Frames;
  /** Shift and drag, then the wheel. */
  readonly pan: Frames;
  readonly wheel: Frames;
  /** Keys + and -. */
  readonly zoom: Frames;
}

interface Visit {
  readonly origin: string;
  readonly cookie: string;
  readonly run: string;
}

const MOVES = 120;

/** Runs in the page from its first moment on. */
const WATCH = `{
  const frame = (at) => {
    window.frames_ ??= [];
    window.frames_.push(at);
    if (!window.dataAt && document.querySelector('.headline') && document.querySelector('.charts canvas')) {
      // What is drawn in this frame is on the screen with the next one.
      requestAnimationFrame((next) => { window.dataAt ??= next; });
    }
    requestAnimationFrame(frame);
  };
  requestAnimationFrame(frame);
}`;

/** Null where there is no Chromium on PATH. */
export async function measurePage(visit: Visit): Promise<PageFigures | null> {
  const executable = findChromium();
  if (executable === undefined) return null;
  const browser = await launchChromium(executable);
  try {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
    const [name, value] = visit.cookie.split('=') as [string, string];
    await context.addCookies([{ name, value, url: visit.origin }]);
    return await watched(context, `${visit.origin}/#/runs/${visit.run}`);
  } finally {
    await browser.close();
  }
}

async function watched(context: BrowserContext, address: string): Promise<PageFigures> {
  const page = await context.newPage();
  await page.addInitScript(WATCH);
  const work = await workOf(context, page);
  await page.goto(address);
  // The page's own policy forbids what waitForFunction does.
  while (!(await page.evaluate('window.dataAt'))) await page.waitForTimeout(100);
  const dataMs = Math.round(Number(await page.evaluate('window.dataAt')));
  const workMs = Math.round(await work());
  const paint = `performance.getEntriesByName('first-contentful-paint')[0].startTime`;
  const firstPaintMs = Math.round(Number(await page.evaluate(paint)));
  await page.waitForTimeout(1000);

  const chart = page.locator('.charts .u-over').first();
  await chart.scrollIntoViewIfNeeded();
  const box = (await chart.boundingBox())!;
  const [left, middle] = [box.x + 0.1 * box.width, box.y + box.height / 2];
  const along = (share: number) => page.mouse.move(left + 0.7 * share * box.width, middle);
  const sweep = async (steps: number) => {
    for (let i = 1; i <= steps; i++) await along(i / steps);
  };
  const counted = async (act: () => Promise<void>): Promise<Frames> => {
    await page.evaluate('window.frames_ = []');
    const before = await work();
    await act();
    const spent = (await work()) - before;
    return framesOf((await page.evaluate('window.frames_')) as number[], spent);
  };

  const rest = await counted(() => page.waitForTimeout(1500));
  await along(0);
  await page.mouse.down();
  const drag = await counted(() => sweep(MOVES));
  await page.mouse.up();
  await page.keyboard.down('Shift');
  await page.mouse.down();
  const pan = await counted(async () => {
    for (let i = 0; i < MOVES; i++) await along(0.5 + 0.5 * Math.sin(i / 9));
  });
  await page.mouse.up();
  const wheel = await counted(async () => {
    for (let i = 0; i < MOVES; i++) await page.mouse.wheel(0, i % 40 < 20 ? 30 : -30);
  });
  await page.keyboard.up('Shift');
  await page.locator('.charts .canvas').first().focus();
  const zoom = await counted(async () => {
    for (let i = 0; i < MOVES; i++) await page.keyboard.press(i % 16 < 8 ? '+' : '-');
  });
  return { firstPaintMs, dataMs, workMs, rest, drag, pan, wheel, zoom };
}

/** Processor milliseconds of the page so far, as the browser counts them. */
async function workOf(context: BrowserContext, page: Page): Promise<() => Promise<number>> {
  const session = await context.newCDPSession(page);
  await session.send('Performance.enable', { timeDomain: 'threadTicks' });
  return async () => {
    const { metrics } = await session.send('Performance.getMetrics');
    return 1000 * (metrics.find(({ name }) => name === 'TaskDuration')?.value ?? 0);
  };
}

function framesOf(times: readonly number[], workMs: number): Frames {
  const gaps = times.slice(1).map((time, i) => time - times[i]!);
  const sorted = [...gaps].sort((a, b) => a - b);
  const round = (value: number) => Number(value.toFixed(1));
  const seconds = (times.at(-1)! - times[0]!) / 1000;
  return {
    frames: gaps.length,
    perSecond: round(gaps.length / seconds),
    p95Ms: round(sorted[Math.floor(0.95 * (sorted.length - 1))]!),
    worstMs: round(sorted.at(-1)!),
    workMs: round(workMs / gaps.length),
  };
}
