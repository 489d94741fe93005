/**
 * The studio as a person uses it: Chromium against the real `whetstone studio` on a tiny model. It is
 * skipped where no Chromium is on PATH; .ci/run installs one.
 */
import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import type { Browser, BrowserContext, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { OptimizeResult, RunEvent } from '../src/runs/events.ts';
import { openStore } from '../src/runs/store.ts';
import { AUDIT, FOCUS } from './support/audit.ts';
import { findChromium, launchChromium } from './support/browser.ts';
import { payloads } from './support/payloads.ts';
import { type StudioProcess, startStudio } from './support/studio.ts';
import { type TinyTask, tinyTask } from './tiny-task.ts';

const chromium = findChromium();
/** This machine may be shared by many: waits are long, and end as soon as they can. */
const LONG = 90_000;

describe.skipIf(chromium === undefined)(
  `the studio in Chromium${chromium ? '' : ' (none on PATH: apt-get install chromium)'}`,
  () => {
    let task: TinyTask;
    let studio: StudioProcess;
    let browser: Browser;
    let context: BrowserContext;
    let page: Page;
    let origin: string;
    let yaml: string;
    const wrong: string[] = [];
    let deleted: string | undefined;

    beforeAll(async () => {
      task = await tinyTask();
      yaml = await readFile(join(task.folder, 'tiny.yaml'), 'utf8');
      studio = await startStudio({ cwd: task.folder });
      origin = new URL(studio.url).origin;
      browser = await launchChromium(chromium!);
      context = await browser.newContext({ viewport: { width: 1280, height: 900 } });
      context.setDefaultTimeout(LONG / 3); // shorter than a test, so that it says where it waited
      page = await context.newPage();
      page.on('console', (message) => {
        // What the page had asked about a run while that was deleted is answered with 404.
        const isOfDeleted = deleted !== undefined && message.location().url.includes(deleted);
        if (message.type() === 'error' && !isOfDeleted) wrong.push(message.text());
      });
      page.on('pageerror', (error) => wrong.push(String(error)));
      page.on('dialog', (dialog) => {
        wrong.push(`dialog ${dialog.message()}`);
        void dialog.dismiss();
      });
      page.on('request', (request) => {
        const url = new URL(request.url());
        if (url.protocol.startsWith('http') && url.origin !== origin) wrong.push(`request ${url}`);
      });
    }, LONG);

    afterAll(async () => {
      await browser?.close();
      await studio?.stop();
      await task?.remove();
    }, LONG);

    const open = async (hash: string) => {
      await page.goto('about:blank');
      await page.goto(`${origin}/${hash}`);
      await page.getByRole('heading', { level: 1 }).waitFor();
      while ((await page.locator('.loading').count()) > 0) await page.waitForTimeout(50);
    };
    const fact = (name: string) =>
      page.locator('.headline .facts div', { hasText: name }).locator('dd').textContent();
    const until = async (what: () => Promise<boolean>) => {
      const end = Date.now() + LONG;
      while (!(await what())) {
        if (Date.now() > end) throw new Error('it did not come to pass');
        await page.waitForTimeout(100);
      }
    };
    const state = (name: string) =>
      page.locator('.page-head .state', { hasText: name }).waitFor({ timeout: LONG });
    const runsHere = async () => {
      const runs = await page.evaluate(`fetch('/api/runs').then((r) => r.json())`);
      return (runs as { items: { id: string }[] }).items.map(({ id }) => id);
    };
    const newestRun = async () => (await runsHere())[0]!;
    /** The settings of a run of many short steps. */
    const settings = (method: object, budget: object) =>
      JSON.stringify({ ...JSON.parse(yaml), method, budget }, null, 2);

    it('opens by the launch address, once, and says how to start', { timeout: LONG }, async () => {
      await page.goto(studio.url);
      await page.getByRole('heading', { name: 'No run yet' }).waitFor();
      expect(page.url()).not.toContain('token');
      const other = await browser.newContext();
      const refused = await (await other.newPage()).goto(studio.url);
      expect(refused?.status()).toBe(401);
      await other.close();
    });

    it('starts a run in the form; either side edits the other', { timeout: LONG }, async () => {
      await page.getByRole('link', { name: 'Set one up here' }).click();
      const text = page.getByLabel('Configuration as YAML');
      await text.fill('task: [');
      await page.getByText('The YAML cannot be read').waitFor();
      await text.fill(settings({ name: 'no-such-method' }, { minutes: 5 }));
      await page.getByText('to be mended first').waitFor();
      expect(await page.getByRole('button', { name: 'Start the run' }).isDisabled()).toBe(true);

      await text.fill(settings({ name: 'manual' }, { minutes: 5 }));
      await page.getByLabel('Method', { exact: true }).selectOption('policy-gradient');
      await page.getByRole('spinbutton', { name: 'Minutes' }).fill('4');
      const now = await text.inputValue();
      expect(now).toContain('policy-gradient');
      expect(now).toMatch(/"?minutes"?: 4/);
      await page.getByText('The settings are right').waitFor();
      await page.getByRole('button', { name: 'Start the run' }).click();
      await page.waitForURL(/#\/runs\/./);
    });

    it('shows it learn: the loop, the charts, their table', { timeout: LONG }, async () => {
      await state('Running');
      await page.locator('.connection-live').waitFor();
      await page
        .getByRole('heading', { name: /How well it did \(reward\)/ })
        .first()
        .waitFor();
      await until(async () => Number(await fact('Step')) >= 3);
      const before = Number(await fact('Step'));
      await until(async () => Number(await fact('Step')) > before);
      const loop = page.getByRole('region', { name: /The loop/ });
      for (const part of ['prompt', 'input', 'output', 'gold', 'reward']) {
        await loop.locator(`.node:has(h3:has-text("(${part})")) :is(bdi, b)`).first().waitFor();
      }
      const figure = page.locator('figure', { hasText: '(reward)' }).first();
      await figure.getByText(/^Table/).click();
      // The first steps may just be on their way.
      await figure.locator('tbody tr').nth(1).waitFor();
    });

    it('keeps focus and scroll while it goes on', { timeout: LONG }, async () => {
      const chart = page.getByRole('group', { name: /Chart: How well it did/ });
      await chart.focus();
      await page.keyboard.press('+');
      await page.evaluate('window.scrollTo(0, 400)');
      const before = Number(await fact('Step'));
      await until(async () => Number(await fact('Step')) > before + 1);
      expect(await page.evaluate('window.scrollY')).toBe(400);
      expect(await page.evaluate('document.activeElement.className')).toBe('canvas');
    });

    it('pauses and resumes', { timeout: 2 * LONG }, async () => {
      await page.getByRole('button', { name: 'Pause' }).click();
      await state('Paused');
      const paused = Number(await fact('Step'));
      await page.getByRole('button', { name: 'Resume' }).click();
      await state('Running');
      await until(async () => Number(await fact('Step')) > paused);
    });

    it('stops: what was found is measured and shown', { timeout: 2 * LONG }, async () => {
      await page.getByRole('button', { name: 'Stop' }).click();
      await state('Done');
      const results = page.getByRole('region', { name: 'Results' });
      await results.getByRole('row', { name: /an ordinary human prompt/ }).waitFor();
      expect(await results.locator('tbody tr').count()).toBe(3);
    });

    it('exports it, scored again from its own bytes', { timeout: LONG }, async () => {
      await page.getByRole('button', { name: 'Export …' }).click();
      await page.getByRole('button', { name: 'Export', exact: true }).click();
      await page.getByText(/The run said .* the same/).waitFor();
      await page.getByRole('button', { name: 'Close' }).click();
    });

    it('branches off from a step with another option, which says what cannot be and then ends', {
      timeout: 3 * LONG,
    }, async () => {
      const parent = page.url().split('/').at(-1)!;
      const asked = Number((await fact('Answers asked for'))!.replaceAll(',', ''));
      await page.getByRole('button', { name: 'Branch …' }).click();
      const dialog = page.getByRole('dialog', { name: 'Branch off' });
      await dialog
        .getByLabel('Settings to change, one a line')
        .fill(`method.archiveSize=4\nbudget.evaluations=${asked + 1500}`);
      await dialog.getByLabel('From step').fill('1');
      await dialog.getByRole('button', { name: 'Start the branch' }).click();
      const refusal = await dialog.getByRole('alert').textContent();
      const kept = /is kept after step (?:\d+, )*(\d+)/.exec(refusal!)![1]!;
      // The browser says of every refusal that it was one.
      expect(wrong.splice(0)).toEqual([expect.stringContaining('status of 400')]);
      await dialog.getByLabel('From step').fill(kept);
      await dialog.getByRole('button', { name: 'Start the branch' }).click();
      await dialog.waitFor({ state: 'detached' });
      await page.waitForURL((url) => /#\/runs\/./.test(url.hash) && !url.hash.endsWith(parent));
      await page.getByRole('link', { name: parent }).waitFor();
      await state('Done');
      expect(Number((await fact('Step'))!.replaceAll(',', ''))).toBeGreaterThan(Number(kept));
      await page.getByText('As YAML').click();
      const settled = page.getByRole('region', { name: 'Configuration as YAML' });
      expect(await settled.textContent()).toContain('archiveSize: 4');
    });

    it('deletes a run once that is confirmed: from the list and from the store', {
      timeout: 2 * LONG,
    }, async () => {
      const id = page.url().split('/').at(-1)!;
      const parent = await page.locator('.under-head a').textContent();
      const dialog = page.getByRole('dialog', { name: 'Delete this run?' });
      const isStored = async () => {
        const store = await openStore();
        const found = store.queries.findRun(id);
        store.close();
        return found !== undefined;
      };
      await page.getByRole('button', { name: 'Delete …' }).click();
      await dialog.getByRole('button', { name: 'Keep it' }).click();
      await dialog.waitFor({ state: 'detached' });
      expect(await isStored()).toBe(true);
      await page.getByRole('button', { name: 'Delete …' }).click();
      deleted = id;
      await dialog.getByRole('button', { name: 'Delete for good' }).click();
      await page.waitForURL(/#\/runs$/);
      await page.locator(`.run-link[href*="${parent}"]`).first().waitFor();
      expect(await page.locator(`a[href*="${id}"]`).count()).toBe(0);
      expect(await isStored()).toBe(false);
      await open(`#/runs/${parent}`);
    });

    it('answers in the playground, beside gold', { timeout: LONG }, async () => {
      await page.getByRole('link', { name: 'Try it' }).click();
      await page.getByLabel('Second prompt, to compare').fill('it was');
      await page.getByRole('button', { name: 'Ask the model' }).click();
      await page.getByRole('heading', { name: 'Answers' }).waitFor();
      await page.getByLabel(/Only where the answers differ/).uncheck();
      const rows = page.getByRole('region', { name: 'Examples', exact: true }).locator('tbody tr');
      expect(await rows.count()).toBe(16);
      expect(await rows.first().textContent()).toMatch(/[✓✕] (right|wrong).*[✓✕] (right|wrong)/);
      const usual = page.viewportSize()!;
      await page.setViewportSize({ width: 390, height: 844 });
      const frame = "document.querySelector('.examples').parentElement";
      const hidden = await page.evaluate(`${frame}.scrollWidth - ${frame}.clientWidth`);
      expect(hidden, 'pixels of the answers that lie out of sight').toBe(0);
      await page.setViewportSize(usual);
    });

    it('compares two runs, and several methods', { timeout: 4 * LONG }, async () => {
      await open('#/new');
      const text = page.getByLabel('Configuration as YAML');
      await text.fill(settings({ name: 'manual' }, { evaluations: 1500 }));
      await page.getByText('The settings are right').waitFor();
      await page.getByRole('button', { name: 'Start the run' }).click();
      await page.waitForURL(/#\/runs\/./);
      await state('Done');
      await open('#/runs');
      for (const box of await page.getByRole('checkbox', { name: /Choose run/ }).all())
        await box.check();
      await page.getByRole('link', { name: 'Compare the two' }).click();
      await page.getByRole('rowheader', { name: 'method.name' }).waitFor();
      await page.getByRole('button', { name: 'Answer with both prompts' }).click();
      await page.getByLabel(/Only where the answers differ/).waitFor();

      await open('#/new?compare=yes');
      await text.fill(settings({ name: 'manual' }, { evaluations: 1500 }));
      await page.getByLabel('policy-gradient', { exact: true }).uncheck();
      await page.getByLabel('random', { exact: true }).check();
      await page.getByLabel('Searches of each method').fill('2');
      await page.getByText('The settings are right').waitFor();
      await page.getByRole('button', { name: 'Start the comparison' }).click();
      await page.waitForURL(/#\/compare\/./);
      await page.getByText('4 of 4 done').waitFor({ timeout: 2 * LONG });
      await page.getByRole('heading', { name: 'Verdict' }).waitFor();
      expect(await page.locator('h1').textContent()).toBe(basename(task.folder));
      await page
        .getByRole('img', { name: /Best reward against budget: .*random reaches/ })
        .waitFor();
      await page
        .getByRole('img', { name: /manual \d/ })
        .first()
        .waitFor();
      await page.getByRole('rowheader', { name: /manual – random|random – manual/ }).waitFor();
    });

    it('shows data with its counts and the models', { timeout: LONG }, async () => {
      await open('#/data');
      await page.getByRole('heading', { name: 'Train: learns from' }).waitFor();
      await page.getByRole('heading', { name: /First validation examples/ }).waitFor();
      expect(await page.getByRole('heading', { name: /First test examples/ }).count()).toBe(0);
      await open('#/models');
      await page
        .getByRole('rowheader', { name: /smollm2/ })
        .first()
        .waitFor();
    });

    it('is led by the keyboard alone', { timeout: LONG }, async () => {
      await open('#/runs');
      const focused = () =>
        page.evaluate(
          `(document.activeElement.textContent || document.activeElement.tagName).trim()`,
        );
      await page.keyboard.press('Tab');
      expect(await focused()).toBe('Skip to the content');
      await page.keyboard.press('Enter');
      expect(await page.evaluate('document.activeElement.id')).toBe('main');
      const tabTo = async (isThere: string, text = '') => {
        for (let i = 0; i < 60; i++) {
          await page.keyboard.press('Tab');
          const isFound = `document.activeElement.matches(${JSON.stringify(isThere)})`;
          if ((await page.evaluate(isFound)) && String(await focused()).includes(text)) return;
        }
        throw new Error(`Tab does not lead to ${isThere}`);
      };
      await tabTo('.run-link');
      await page.keyboard.press('Enter');
      await page.waitForURL(/#\/runs\/./);
      await until(async () => (await page.evaluate('document.activeElement.tagName')) === 'H1');
      // What ends so opens a dialog; others, as "Pause", act at once.
      await tabTo('.actions button', '…');
      const button = await focused();
      await page.keyboard.press('Enter');
      await page.getByRole('dialog').waitFor();
      expect(await page.evaluate(`document.activeElement.closest('dialog') !== null`)).toBe(true);
      await page.keyboard.press('Escape');
      await page.getByRole('dialog').waitFor({ state: 'detached' });
      expect(await focused()).toBe(button);
      await page.keyboard.press('?');
      const shortcuts = page.getByRole('heading', { name: 'Keyboard shortcuts' });
      await shortcuts.waitFor();
      await page.keyboard.press('Escape');
      await shortcuts.waitFor({ state: 'detached' });
      await page.keyboard.press('g');
      await page.keyboard.press('d');
      await page.waitForURL(/#\/data/);
    });

    it('can be read by everybody, at both widths, dark and light', {
      timeout: 2 * LONG,
    }, async () => {
      const problems: string[] = [];
      const [last, before] = await runsHere();
      const comparisons = await page.evaluate(`fetch('/api/comparisons').then((r) => r.json())`);
      const comparison = (comparisons as { items: { id: string }[] }).items[0]!.id;
      const places = ['runs', `runs/${last}`, `diff/${last}/${before}`, 'compare', `compare/${comparison}`, 'playground', 'new', 'models', 'data']; // biome-ignore format: one list
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 900 });
        for (const place of places) {
          await open(`#/${place}`);
          await page.waitForTimeout(200);
          // What is folded away is audited as well.
          await page.evaluate(
            `document.querySelectorAll('details').forEach((d) => { d.open = true; })`,
          );
          await page.waitForTimeout(200);
          for (const colours of ['dark', 'light']) {
            await page.getByLabel('Colours').selectOption(colours);
            const found = (await page.evaluate(AUDIT)) as string[];
            problems.push(...found.map((problem) => `${place} ${width} ${colours}: ${problem}`));
          }
        }
      }
      await page.setViewportSize({ width: 1280, height: 900 });
      expect(problems).toEqual([]);
    });

    it('names what its dialogs hold, at both widths', { timeout: LONG }, async () => {
      const problems: string[] = [];
      for (const width of [1280, 390]) {
        await page.setViewportSize({ width, height: 900 });
        await open(`#/runs/${await newestRun()}`);
        for (const name of ['Branch …', 'Export …', 'Delete …', 'Keyboard shortcuts']) {
          await page.getByRole('button', { name }).click();
          await page.getByRole('dialog').waitFor();
          const found = (await page.evaluate(AUDIT)) as string[];
          problems.push(...found.map((problem) => `${name} ${width}: ${problem}`));
          await page.keyboard.press('Escape');
          await page.getByRole('dialog').waitFor({ state: 'detached' });
        }
      }
      await page.setViewportSize({ width: 1280, height: 900 });
      expect(problems).toEqual([]);
    });

    it('shows where the focus is, wherever Tab leads', { timeout: 2 * LONG }, async () => {
      const problems = new Set<string>();
      const run = await newestRun();
      for (const place of [
        'runs',
        `runs/${run}`,
        'compare',
        'playground',
        'new',
        'models',
        'data',
      ]) {
        await open(`#/${place}`);
        for (let i = 0; i < 40; i++) {
          await page.keyboard.press('Tab');
          const problem = await page.evaluate(FOCUS);
          if (problem !== '') problems.add(`${place}: ${problem}`);
        }
      }
      expect([...problems]).toEqual([]);
    });

    it('would notice a control without a name, faint text and a page too wide', async () => {
      await open('#/models');
      await page.evaluate(`{
        const main = document.querySelector('main');
        main.append(document.createElement('button'));
        const faint = Object.assign(document.createElement('p'), { textContent: 'faint' });
        Object.assign(faint.style, { color: '#aaa', background: '#fff', width: '3000px' });
        main.append(faint);
      }`);
      const found = ((await page.evaluate(AUDIT)) as string[]).join('\n');
      expect(found).toMatch(/no name: button/);
      expect(found).toMatch(/contrast 2\.\d+: p "faint"/);
      expect(found).toMatch(/scrolls sideways/);
    });

    it('said nothing wrong in the console and asked no other host', () => {
      expect(wrong).toEqual([]);
    });

    it('runs nothing of 500 hostile texts', { timeout: 2 * LONG }, async () => {
      const texts = payloads(500);
      const run = await storeHostile(texts);
      await open(`#/runs/${run}`);
      await page.getByRole('region', { name: 'Lineage, newest first' }).waitFor();
      const further = page.getByRole('button', { name: 'Further ones' });
      const shown: string[] = [];
      for (let at = 0; ; at++) {
        await page.getByText(new RegExp(`^${10 * at + 1} to `)).waitFor();
        shown.push((await page.getByRole('region', { name: 'Best prompts' }).textContent()) ?? '');
        if (await further.isDisabled()) break;
        await further.click();
      }
      const odd = `(document.body.innerText.match(/[\\u0000-\\u0008\\u000b-\\u001f\\u007f-\\u009f\\u200b\\u202a-\\u202e\\u2066-\\u2069]/g) ?? []).length`;
      const made = `document.querySelectorAll('main :is(script, img, iframe, object, base, meta, math, input[autofocus])').length`;
      for (const place of [
        `runs/${run}`,
        'runs',
        `playground?run=${run}`,
        'data',
        'compare',
        `new?from=${run}`,
      ]) {
        await open(`#/${place}`);
        await page.waitForTimeout(300);
        expect([place, await page.evaluate(odd)]).toEqual([place, 0]);
        expect([place, await page.evaluate(made)]).toEqual([place, 0]);
      }
      const all = shown.join('\n');
      for (let i = 0; i < texts.length; i++) expect(all).toContain(`${i} `);
      expect(all).toContain('<script>window.ran=1</script>');
      expect(all).toContain('U+202E');
      expect(await page.evaluate('window.ran')).toBeUndefined();
      expect(await page.title()).not.toBe('ran');
      // Its configuration is none, which the server tells with a status.
      const isTold = (one: string) =>
        one.startsWith('Failed to load resource: the server responded');
      expect(wrong.filter((one) => !isTold(one))).toEqual([]);
    });

    /** A finished run all of whose texts are hostile. */
    async function storeHostile(texts: readonly string[]): Promise<string> {
      const store = await openStore();
      const text = (i: number) => texts[i % texts.length]!;
      const runId = store.createRun({
        method: text(0),
        config: { task: { data: text(1), description: text(2) } },
        seed: 1,
        versions: { [text(3)]: text(4) },
        hashes: {},
      });
      const events = texts.map((prompt, i): RunEvent => {
        const episode = {
          prompt,
          input: text(i + 1),
          answer: text(i + 2),
          gold: text(i + 3),
          reward: i,
        };
        const figures = { reward: i, bestReward: i, promptsPerSecond: 1, evaluations: i };
        return { kind: 'step', step: i + 1, bestPrompt: prompt, ...figures, episode };
      });
      const score = { score: 0.5, interval: [0.4, 0.6] as const, examples: 10 };
      const found = { prompt: text(8), validation: score, test: score };
      const result: OptimizeResult = {
        ...{
          kind: 'result',
          method: text(7),
          kindOfResult: 'text',
          ...found,
          promptTokens: [],
          runId,
        },
        ...{ train: score, evaluations: 1, seconds: 1, rows: [{ method: text(9), ...found }] },
      } as OptimizeResult;
      const models = { taskLm: text(10), policyLm: text(11), seed: 1 };
      const examples = { train: 1, validation: 1, test: 1 };
      const start: RunEvent = {
        kind: 'start',
        runId,
        method: text(0),
        task: text(12),
        ...models,
        examples,
      };
      store.appendEvents(runId, [start, { kind: 'warning', message: text(13) }, ...events, result]);
      texts.forEach((one, i) => {
        store.putPrompt(runId, { text: one, tokens: [i], reward: -i, scores: {} });
      });
      store.finishRun(runId, { state: 'done', result });
      store.close();
      return runId;
    }
  },
);
