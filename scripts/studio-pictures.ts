/**
 * Pictures of every page of the studio at both widths, dark and light, for people to look at.
 *
 *   npx tsx scripts/studio-pictures.ts FOLDER              starts `whetstone studio` on WHETSTONE_HOME
 *   npx tsx scripts/studio-pictures.ts FOLDER --url URL    takes one that is running, by its launch address
 *   npx tsx scripts/studio-pictures.ts FOLDER --run ID     of this run; else the newest one that is done
 *   npx tsx scripts/studio-pictures.ts FOLDER --docs       writes docs/studio.png as well
 *
 * docs/studio.png is the top of the Run page in light colours.
 */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Browser, Page } from 'playwright-core';
import { findChromium, launchChromium } from '../test/support/browser.ts';
import { startStudio } from '../test/support/studio.ts';

const WIDTHS = [1280, 390];
const SCHEMES = ['light', 'dark'] as const;
/** Of a page that is longer, the top. */
const MOST_PIXELS = 4000;

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { url: { type: 'string' }, run: { type: 'string' }, docs: { type: 'boolean' } },
});
const [folder] = positionals;
const executable = findChromium();
if (folder === undefined) throw new Error('expected the folder to write into');
if (executable === undefined)
  throw new Error('no Chromium on PATH; on Debian: apt-get install chromium');

await mkdir(folder, { recursive: true });
const studio = values.url === undefined ? await startStudio({}) : undefined;
const browser = await launchChromium(executable);
try {
  await takeAll(browser, values.url ?? studio!.url);
} finally {
  await browser.close();
  await studio?.stop();
}

async function takeAll(browser: Browser, launch: string): Promise<void> {
  // One launch serves all widths: its token is good for one time, the cookie stays.
  const context = await browser.newContext();
  const first = await context.newPage();
  await first.goto(launch);
  const origin = new URL(first.url()).origin;
  const pages = await pagesOf(first);
  const storageState = await context.storageState();
  for (const width of WIDTHS) {
    for (const colorScheme of SCHEMES) {
      const viewport = { width, height: width < 500 ? 844 : 800 };
      const options = { storageState, colorScheme, viewport, reducedMotion: 'reduce' } as const;
      const own = await browser.newContext(options);
      const page = await own.newPage();
      for (const [name, hash, act] of pages) {
        await page.goto(`${origin}/${hash}`);
        await settle(page);
        await act?.(page);
        const path = join(folder!, `${name}-${width}-${colorScheme}.png`);
        await shoot(page, path, width);
        console.log(path);
        if (values.docs && name === 'run' && width === 1280 && colorScheme === 'light') {
          await page.setViewportSize({ width, height: 1300 });
          await settle(page);
          await page.screenshot({ path: join('docs', 'studio.png') });
        }
        await page.goto('about:blank');
      }
      await own.close();
    }
  }
}

type Shot = readonly [name: string, hash: string, act?: (page: Page) => Promise<void>];

async function pagesOf(page: Page): Promise<Shot[]> {
  const runs = await itemsOf(page, '/api/runs?limit=100');
  const comparisons = await itemsOf(page, '/api/comparisons');
  const done = runs.filter(({ state }) => state === 'done').map(({ id }) => id);
  const run = values.run ?? done[0] ?? runs[0]?.id;
  const other = done.find((id) => id !== run);
  return [
    ['runs', '#/runs'],
    ...(run === undefined ? [] : ([['run', `#/runs/${run}`]] as const)),
    ...(run === undefined || other === undefined
      ? []
      : ([['diff', `#/diff/${run}/${other}`, askBoth]] as const)),
    ['compare', '#/compare'],
    ...comparisons.slice(0, 1).map(({ id }) => ['comparison', `#/compare/${id}`] as const),
    ['playground', `#/playground${run === undefined ? '' : `?run=${run}`}`, ask],
    ['new', '#/new'],
    ['new-comparison', '#/new?compare=yes'],
    ['models', '#/models'],
    ['data', '#/data'],
    ['help', '#/runs', (at) => at.keyboard.press('?')],
  ];
}

async function itemsOf(page: Page, path: string): Promise<{ id: string; state: string }[]> {
  const answer = await page.evaluate(`fetch(${JSON.stringify(path)}).then((r) => r.json())`);
  return (answer as { items: { id: string; state: string }[] }).items;
}

async function ask(page: Page): Promise<void> {
  const button = page.getByRole('button', { name: 'Ask the model' });
  if (!(await button.isVisible())) return;
  await page.getByLabel('Second prompt').fill('Sentiment:');
  await button.click();
  await answered(page);
}

async function askBoth(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'Answer with both prompts' }).click();
  await answered(page);
}

/** Answers, or why there are none. */
async function answered(page: Page): Promise<void> {
  await page.locator('.examples, .check, .note, .note-bad').last().waitFor({ timeout: 180_000 });
}

/** Nothing is loaded any more, and what was has been drawn. */
async function settle(page: Page): Promise<void> {
  while ((await page.locator('.loading').count()) > 0) await page.waitForTimeout(100);
  await page.waitForTimeout(700);
}

async function shoot(page: Page, path: string, width: number): Promise<void> {
  const height = await page.evaluate('document.documentElement.scrollHeight');
  const clip = { x: 0, y: 0, width, height: Math.min(MOST_PIXELS, Number(height)) };
  await page.screenshot({ path, clip, fullPage: true });
}
