/**
 * An OpenAI-compatible server that is not ours, with a real model behind it. WHETSTONE_TEST_OPENAI_SERVER
 * is its address ("http://127.0.0.1:8080/v1"), or a command that starts one and prints its address:
 * "python test/fixtures/openai-server/serve.py MODEL.gguf".
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type Completion,
  isFailure,
  Ledger,
  labelScores,
  openTextModel,
  type TextModel,
} from '../src/providers/index.ts';

const setting = process.env.WHETSTONE_TEST_OPENAI_SERVER ?? '';

describe.skipIf(setting === '')(
  'a real server (needs WHETSTONE_TEST_OPENAI_SERVER: an address, or a command that prints one)',
  () => {
    let child: ChildProcess | undefined;
    let model: TextModel;
    const ledger = new Ledger();

    beforeAll(async () => {
      if (!setting.startsWith('http')) {
        child = spawn(setting, {
          shell: true,
          stdio: ['ignore', 'pipe', 'ignore'],
          detached: true,
        });
      }
      const baseUrl = child ? await addressOf(child) : setting;
      const listed = (await (await fetch(`${baseUrl}/models`)).json()) as {
        data: { id: string }[];
      };
      model = openTextModel(
        { provider: 'openai-compatible', model: listed.data[0]!.id, baseUrl, concurrency: 2 },
        { env: {}, ledger },
      );
    });

    afterAll(async () => {
      await model?.close();
      if (child?.pid) process.kill(-child.pid);
    });

    const question = (content: string, maxTokens = 8) => ({
      messages: [{ role: 'user' as const, content }],
      maxTokens,
    });

    it('answers a batch, the same each time, and counts its tokens', async () => {
      const questions = ['Is water wet?', 'Is fire cold?', 'Name a colour.'].map((q) =>
        question(q),
      );
      const answers = (await model.complete(questions)) as Completion[];
      for (const answer of answers) {
        expect(answer.text).not.toBe('');
        expect(answer.inputTokens).toBeGreaterThan(5);
        expect(answer.outputTokens).toBeGreaterThan(0);
        expect(answer.outputTokens).toBeLessThanOrEqual(9);
      }
      expect(await model.complete(questions)).toEqual(
        answers.map((answer) => ({ ...answer, isCached: true })),
      );
      expect(ledger.line()).toMatchObject({
        calls: 3,
        cached: 3,
        usd: 0,
        inputTokens: answers.reduce((sum, { inputTokens }) => sum + inputTokens, 0),
        outputTokens: answers.reduce((sum, { outputTokens }) => sum + outputTokens, 0),
      });
    });

    it('stops at a stop text', async () => {
      const whole = question('Count: one, two, three,', 40);
      const [free, stopped] = (await model.complete([
        whole,
        { ...whole, stop: [' '] },
      ])) as Completion[];
      expect(free!.text).toContain(' ');
      expect(stopped).toMatchObject({ finish: 'stop', text: free!.text.split(' ')[0] });
    });

    it('tells the log-probabilities of label words', async () => {
      const messages = [{ role: 'user' as const, content: 'Is water wet? Answer Yes or No.' }];
      const { alternatives } = model;
      const [told] = (await model.complete([
        { messages, maxTokens: 4, alternatives },
      ])) as Completion[];
      const { logProbs } = labelScores(told!.alternatives!, ['Yes', 'No']);
      const sum = logProbs.reduce<number>((all, p) => all + Math.exp(p!), 0);
      expect(sum).toBeGreaterThan(0.1);
      expect(sum).toBeLessThanOrEqual(1.0001);
      const [answer] = (await model.complete([{ messages, maxTokens: 1 }])) as Completion[];
      const likelier = logProbs[0]! > logProbs[1]! ? 'Yes' : 'No';
      if (/^(Yes|No)/.test(answer!.text)) expect(answer!.text).toBe(likelier);
    });

    it('says how long a request is that does not fit', async () => {
      const [answer] = await model.complete([question('word '.repeat(200_000))]);
      expect(isFailure(answer!) && answer.error.message).toMatch(
        /do not fit into the model's window: ".*\d{6} tokens.*"; shorten them/,
      );
    });
  },
);

/** The first address that the command prints. */
async function addressOf(child: ChildProcess): Promise<string> {
  for await (const line of createInterface({ input: child.stdout! })) {
    const address = /https?:\/\/\S+/.exec(line);
    if (address) return address[0];
  }
  throw new Error(`${setting}: ended without printing an address`);
}
