/** What leaves this machine with a configuration: references to keys, never what looks like one. */
import { expect, it } from 'vitest';
import { redacted } from './redacted.ts';

it('takes out keys, headers that hold them, and what addresses carry', () => {
  const secrets = [
    'hunter2hunter2',
    'sk-abcdefghijklmnopqrstuvwx',
    'hf_abcdefghijklmnopqrstuv',
    'tok-4711',
    'swordfish',
    'c00kie',
  ];
  const clean = JSON.stringify(
    redacted({
      taskLm: {
        provider: 'openai-compatible',
        apiKey: 'env:MY_KEY',
        baseUrl: `https://host/v1?token=${secrets[3]}&x=1#f`,
        options: {
          headers: { Authorization: `Bearer ${secrets[0]}`, cookie: secrets[5] },
          password: secrets[4],
          note: `use ${secrets[1]} or ${secrets[2]}`,
          list: [{ 'x-api-key': secrets[0] }],
        },
      },
      method: { name: 'random', promptTokens: 5, tokens: 100 },
      seed: 1,
    }),
  );
  for (const secret of secrets) expect(clean).not.toContain(secret);
  expect(JSON.parse(clean)).toMatchObject({
    taskLm: { apiKey: 'env:MY_KEY', baseUrl: 'https://host/v1?[left out]' },
    method: { name: 'random', promptTokens: 5, tokens: 100 },
    seed: 1,
  });
});
