/** No call is sent beyond a limit: of a search's evaluations, of a run's calls, of its minutes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { branchRun } from '../src/runs/branch.ts';
import { compare } from '../src/runs/compare.ts';
import { planOf } from '../src/runs/compare-plan.ts';
import { loadConfig } from '../src/runs/config.ts';
import type { RunEvent } from '../src/runs/events.ts';
import { optimize } from '../src/runs/optimize.ts';
import { resumeRun } from '../src/runs/resume.ts';
import { openStore, type RunStore } from '../src/runs/store.ts';
import type { Asked, ProviderServer, Reply } from './support/provider-server.ts';
import { calculate, chatModel, startChatServer, writeSums } from './support/sums.ts';
import { whetstoneIn } from './support/whetstone-process.ts';

let folder: string;
let store: RunStore;
let server: ProviderServer;
let script: (asked: Asked) => Reply | Promise<Reply>;
/** Calls of earlier tests. */
let first = 0;
beforeAll(async () => {
  server = await startChatServer((asked) => script(asked));
});
afterAll(() => server.close());
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'whetstone-caps-'));
  store = await openStore(join(folder, 'home'));
  first = server.asked.length;
  script = answer;
});
afterEach(async () => {
  store.close();
  await rm(folder, { recursive: true, force: true });
});

function answer(asked: Asked): Reply {
  const { model, number } = asked;
  if (model === 'writer') return { text: `\`\`\`\nThink again, number ${number}.\n\`\`\`` };
  if (model === 'judge') return { text: `It is so.\nScore: ${number % 11}` };
  return calculate(asked);
}

const load = async (config: object) =>
  loadConfig(await writeSums(folder, server, { config, rows: 60 }));

const asked = () => server.asked.slice(first);
/** Questions to the task LM so far. */
const questions = () => asked().filter(({ model }) => model === 'calculator').length;

/** Questions of the search alone: from the end of the human prompts' scores to the finalists'. */
function watch() {
  const at = { begin: 0, end: 0 };
  const onEvent = (event: RunEvent) => {
    if (event.kind !== 'progress') return;
    if (event.phase === 'preparing the search') at.begin = questions();
    if (event.phase === 'choosing finalists') at.end ||= questions();
  };
  return { onEvent, count: () => at.end - at.begin };
}

describe('budget.evaluations', () => {
  it.each<[string, object, number]>([
    ['manual', { prompts: ['Think.', 'Count.', 'Sum up.', 'Be careful.', 'Go.', 'Well?'] }, 0.6],
    ['random', { batchSize: 4, examplesPerStep: 16 }, 0.6],
    ['few-shot', { shots: 2, draws: 4, batchSize: 2 }, 0.6],
    ['evolution', { children: 8, population: 4 }, 0.6],
    ['reflect', { prompts: ['Solve it.'], batchSize: 2, patience: 50 }, 0.6],
  ])('%s asks for no more, and for most of it', async (name, own, least) => {
    for (const evaluations of [190, 233]) {
      const search = watch();
      const loaded = await load({ method: { name, ...own }, budget: { evaluations } });
      const result = await optimize(loaded, { store, onEvent: search.onEvent });
      expect(result.evaluations).toBeLessThanOrEqual(evaluations);
      expect(search.count()).toBeLessThanOrEqual(evaluations);
      // Answers that the human prompts had before cost a search nothing.
      expect(result.evaluations).toBeGreaterThan(least * evaluations);
      expect(result.test.examples).toBeGreaterThan(0);
    }
  });

  it('holds for each cell of a comparison', async () => {
    const loaded = await load({
      methods: {
        random: { batchSize: 4, examplesPerStep: 16 },
        evolution: { children: 8, population: 4 },
      },
      budget: { evaluations: 190 },
    });
    const plan = planOf(loaded, { methods: ['random', 'evolution'], seeds: 2 });
    const { cells } = await compare(plan, { store });
    expect(cells).toHaveLength(4);
    for (const { outcome } of cells) {
      expect(outcome!.found.evaluations).toBeLessThanOrEqual(190);
      expect(outcome!.found.evaluations).toBeGreaterThan(100);
    }
  });

  it('says what did not fit where nothing came of it', async () => {
    const method = { name: 'evolution', children: 32 };
    // Room for a child's first examples, not for anybody's.
    const loaded = await load({ method, budget: { evaluations: 1 } });
    await expect(optimize(loaded, { store })).rejects.toThrow(/^budget\.evaluations: .*raise/);
  });
});

describe('budget.calls', () => {
  const judged = () => ({
    metrics: [{ metric: { name: 'judge', model: chatModel(server, 'judge'), maxTokens: 32 } }],
  });

  it.each([1500, 1801])('%i: all roles and the whole run', async (calls) => {
    const method = { name: 'reflect', prompts: ['Solve it.'], batchSize: 2, patience: 50 };
    const loaded = await load({ method, reward: judged(), budget: { calls } });
    const { ledger, test } = await optimize(loaded, { store });
    expect(ledger!.calls).toBe(asked().length);
    expect(asked().length).toBeLessThanOrEqual(calls);
    expect(asked().length).toBeGreaterThan(0.6 * calls);
    expect(new Set(asked().map(({ model }) => model)).size).toBe(3);
    expect(test.examples).toBeGreaterThan(0);
  });

  it('says what the end needs where it leaves nothing to search with', async () => {
    const loaded = await load({ method: { name: 'random' }, budget: { calls: 600 } });
    await expect(optimize(loaded, { store })).rejects.toThrow(
      /^budget\.calls: \d+ of 600 are spent and choosing and testing may take \d+, nothing is left to search with; raise budget\.calls/,
    );
    expect(asked().length).toBeLessThanOrEqual(600);
  });

  it('is never passed, however little it is', async () => {
    const loaded = await load({ method: { name: 'random' }, budget: { calls: 17 } });
    await expect(optimize(loaded, { store })).rejects.toThrow(
      /^budget\.calls: 17 of 17 are spent, and the task LM is to be asked 1 more; raise/,
    );
    expect(asked().length).toBe(17);
  });
});

describe('a comparison that goes on', () => {
  it('counts what its first part spent', async () => {
    const methods = { random: { batchSize: 4, examplesPerStep: 16 }, evolution: { children: 8 } };
    const loaded = await load({ methods, budget: { calls: 2400, evaluations: 300 } });
    const plan = planOf(loaded, { methods: ['random', 'evolution'], seeds: 2 });
    let searched = 0;
    // A process for each cell, as long as there are calls.
    for (let process = 0; process < 4; process++) {
      const stop = new AbortController();
      let isRunning = false;
      const done = compare(plan, {
        store,
        signal: stop.signal,
        onEvent: (event) => {
          if (event.kind !== 'cell') return;
          if (event.state === 'running') isRunning = true;
          else if (isRunning && event.state === 'untested') {
            searched++;
            stop.abort();
          }
        },
      });
      await done.catch(() => {});
    }
    expect(searched).toBeGreaterThan(1);
    expect(asked().length).toBeGreaterThan(1000);
    expect(asked().length).toBeLessThanOrEqual(2400);
  });
});

describe('a comparison under a cap', () => {
  const methods = { random: { batchSize: 4, examplesPerStep: 16 } };
  const prices = { 'openai-compatible:calculator': { input: 1, output: 1 } };

  it.each([
    ['calls', { calls: 2100 }],
    ['dollars', { usd: 0.05 }],
  ])('%s: each cell searches with the same part, and all are tested', async (_, budget) => {
    const loaded = await load({ methods, budget, ...('usd' in budget ? { prices } : {}) });
    const plan = planOf(loaded, { methods: ['random'], seeds: 3 });
    const { cells, ledger } = await compare(plan, { store });
    expect(cells.map(({ state, error }) => [state, error])).toEqual(
      Array(3).fill(['done', undefined]),
    );
    const searched = cells.map(({ outcome }) => outcome!.found.evaluations);
    expect(Math.min(...searched)).toBeGreaterThan(30);
    expect(Math.max(...searched)).toBeLessThan(1.5 * Math.min(...searched));
    if ('calls' in budget) expect(asked().length).toBeLessThanOrEqual(budget.calls);
    else expect(ledger.usd).toBeLessThanOrEqual(budget.usd);
  });

  it('says what each has where that is too little, and pays only once where it is raised', async () => {
    const few = planOf(await load({ methods, budget: { calls: 900 } }), { methods: ['random'], seeds: 3 }); // biome-ignore format: one call
    const { cells } = await compare(few, { store });
    expect(cells[0]!.error).toMatch(
      /^budget\.calls: \d+ of 900 are spent, each of 3 runs has 300 and choosing and testing may take \d+, nothing is left/,
    );
    const spend = async (calls: number) => {
      const loaded = await load({ methods, budget: { calls, evaluations: 150 } });
      const plan = planOf(loaded, { methods: ['random'], seeds: 2 });
      const before = asked().length;
      const { cells } = await compare(plan, { store });
      expect(cells.map(({ state, error }) => [state, error])).toEqual(Array(2).fill(['done', undefined])); // biome-ignore format: one call
      return asked().length - before;
    };
    const once = await spend(1400);
    expect(once).toBeGreaterThan(300);
    expect(await spend(1600)).toBe(0);
  });

  it('counts every run of a cell that is searched again', async () => {
    const loaded = await load({ methods, budget: { calls: 640, evaluations: 150 } });
    const plan = planOf(loaded, { methods: ['random'], seeds: 1 });
    // A process has some answers, then none any more.
    for (let process = 0; process < 16; process++) {
      const before = asked().length;
      script = (one) => (asked().length - before > 20 ? { text: '', output: 1 } : answer(one));
      const { cells } = await compare(plan, { store, retryFailed: true });
      expect(cells[0]!.state).toBe('failed');
    }
    expect(asked().length).toBeGreaterThan(150);
    expect(asked().length).toBeLessThanOrEqual(640);
  });
});

it('tests again what failed on the test alone', async () => {
  const config = { budget: { evaluations: 100 }, methods: { random: { batchSize: 4, examplesPerStep: 16 } } }; // biome-ignore format: one value
  const plan = planOf(await load(config), { methods: ['random'], seeds: 1 });
  const { cells } = await compare(plan, { store });
  const [done] = cells;
  const tested = new Set(
    asked()
      .slice(-18)
      .map(({ messages }) => messages.at(-1)!.content),
  );
  store.close();
  await rm(join(folder, 'home'), { recursive: true });
  store = await openStore(join(folder, 'home'));
  // A third of the test's questions get no answer.
  let isBroken = true;
  script = (one) => {
    const text = one.messages.at(-1)!.content;
    const isFatal = isBroken && [...tested].indexOf(text) % 3 === 0;
    return isFatal ? { text: '', output: 1 } : answer(one);
  };
  const broken = await compare(plan, { store });
  expect(broken.cells[0]).toMatchObject({ state: 'failed', error: expect.stringContaining('of 18 test examples have no score, more than a tenth') }); // biome-ignore format: one value
  isBroken = false;
  const before = asked().length;
  const again = await compare(plan, { store, retryFailed: true });
  expect(again.cells[0]).toMatchObject({ state: 'done', run: broken.cells[0]!.run });
  expect(asked().length - before).toBe(6);
  expect(again.cells[0]!.outcome!.test).toEqual(done!.outcome!.test);
});

it('a run with many empty answers ends with a result, though later they are asked for by themselves', async () => {
  script = (asked) => {
    const isEmpty = /[37]$/.test(asked.messages.at(-1)!.content);
    return isEmpty ? { text: '', output: 8 } : answer(asked);
  };
  const loaded = await load({ method: { name: 'manual', prompts: ['Think.', 'Count.'] } });
  const result = await optimize(loaded, { store });
  expect(result.train.failed).toBeGreaterThan(0);
});

describe('a run that goes on', () => {
  const slowly = async (asked: Asked): Promise<Reply> => {
    await sleep(100);
    const reply = answer(asked);
    return asked.number % 3 === 0 && 'text' in reply ? { cut: reply } : reply;
  };

  it('counts calls that were under way when its process was killed, and answers that were cut', async () => {
    script = slowly;
    const config = { budget: { calls: 60 }, method: { name: 'manual', prompts: ['Think.'] } };
    await writeSums(folder, server, { config, rows: 60, model: { concurrency: 4 } });
    let args = ['optimize', 'whetstone.yaml'];
    for (let process = 0; process < 12; process++) {
      const begun = asked().length;
      let watch: NodeJS.Timeout | undefined;
      const { code, err } = await whetstoneIn(folder, args, {
        onLine: (_, child) => {
          watch ??= setInterval(() => {
            if (asked().length >= begun + 6) child.kill('SIGKILL');
          }, 5);
        },
      });
      clearInterval(watch);
      args = ['runs', 'resume', 'last'];
      if (code === null) continue;
      expect(err).toMatch(/budget.calls: \d+ of 60 are spent/);
      break;
    }
    expect(asked().length).toBeGreaterThan(45);
    expect(asked().length).toBeLessThanOrEqual(60);
  }, 60_000);

  it('asks nothing again where a cap was met before the first step and is raised', async () => {
    const method = { name: 'manual', prompts: ['Think.'] };
    const loaded = await load({ method, budget: { calls: 50 } });
    await expect(optimize(loaded, { store })).rejects.toThrow(
      /50 of 50 are spent.*raise budget.calls; "whetstone runs branch \S+ --set budget.calls=…" goes on/,
    );
    expect(asked().length).toBe(50);
    const branch = branchRun(store, 'last', { set: ['budget.calls=5000'] });
    const result = await resumeRun(branch.id, { store });
    const different = new Set(asked().map(({ messages }) => JSON.stringify(messages)));
    expect(asked().length).toBe(different.size);
    expect(result.ledger!.calls).toBe(different.size);
  });

  it('has the answers that were under way when it was stopped', async () => {
    script = async (asked) => {
      await sleep(100);
      return answer(asked);
    };
    const stop = new AbortController();
    const loaded = await load({ method: { name: 'manual', prompts: ['Think.'] } });
    const stopped = optimize(loaded, {
      store,
      signal: stop.signal,
      onEvent: () => {
        if (asked().length > 10) stop.abort();
      },
    });
    await expect(stopped).rejects.toThrow(/abort/i);
    const result = await resumeRun('last', { store });
    expect(result.test.examples).toBeGreaterThan(0);
    const different = new Set(asked().map(({ messages }) => JSON.stringify(messages)));
    expect(asked().length).toBe(different.size);
    expect(result.ledger!.calls).toBe(different.size);
  });
});

describe('budget.minutes', () => {
  const method = { name: 'random', batchSize: 4, examplesPerStep: 16 };
  /** From the second step on nobody answers, until the search is over. */
  function hangInSearch() {
    let steps = 0;
    let hung = 0;
    let isOver = false;
    script = (asked) => {
      if (steps === 0 || isOver) return answer(asked);
      hung++;
      return { hang: true };
    };
    const onEvent = (event: RunEvent) => {
      if (event.kind === 'step') steps++;
      if (event.kind === 'progress' && event.phase === 'choosing finalists') isOver = true;
    };
    return { onEvent, hung: () => hung };
  }

  it('end a search in the middle of a step, with what it had found', async () => {
    const { onEvent, hung } = hangInSearch();
    const warnings: string[] = [];
    const watched = (event: RunEvent) => {
      onEvent(event);
      if (event.kind === 'warning') warnings.push(event.message);
    };
    const loaded = await load({ method, budget: { minutes: 0.02 } });
    const result = await optimize(loaded, { store, onEvent: watched });
    expect(hung()).toBeGreaterThan(0);
    expect(result.test.examples).toBeGreaterThan(0);
    expect(warnings.filter((message) => /stopped early|the search ends/.test(message))).toEqual([]);
  });

  it('end it at the same place where the run is gone on with', async () => {
    const { onEvent } = hangInSearch();
    const loaded = await load({ method, budget: { minutes: 0.02 } });
    const cut = optimize(loaded, {
      store,
      onEvent: (event) => {
        onEvent(event);
        if (event.kind === 'progress' && event.phase === 'choosing finalists') {
          throw new Error('cut');
        }
      },
    });
    await expect(cut).rejects.toThrow('cut');
    const { id } = store.getRun('last');
    const before = store.events(id, { kinds: ['step'] }).length;
    const result = await resumeRun(id, { store });
    expect(store.events(id, { kinds: ['step'] })).toHaveLength(before);
    expect(result.test.examples).toBeGreaterThan(0);
  });
});
