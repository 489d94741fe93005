/**
 * Whether a run left a policy that is trained, kept and read back: its adapter on disk is not the one
 * that changes nothing, `write` opens it and writes otherwise with it than without, and with it the
 * validation split fares better.
 *
 *   npx tsx scripts/check-policy.ts RUN CONTEXT
 *
 * RUN is an id or `last`, CONTEXT a file as for `whetstone write`. Exit code 1 says what was not so.
 */
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { openSafetensors } from '../src/models/safetensors.ts';
import { evaluate } from '../src/runs/evaluate.ts';
import { configOf } from '../src/runs/run-config.ts';
import { openStore, type StoredRun } from '../src/runs/store.ts';
import { readContext, write } from '../src/runs/write.ts';
import { formatShare } from '../src/util/format.ts';

const [id, path] = process.argv.slice(2);
if (!id || !path) throw new Error('name a run and a context: check-policy.ts last chat.json');
const run = (await openStore()).getRun(id);
const folder = await mkdtemp(join(tmpdir(), 'whetstone-untrained-'));
try {
  const { untrained, isTrained } = await withoutTraining(run, folder);
  expect(isTrained, 'every lora_B of the adapter is zero, so that it changes nothing');
  const context = await readContext(path);
  const now = await write({ run, context });
  const before = await write({ run: untrained, context });
  const isOther = now.prompt !== before.prompt || now.logProb !== before.logProb;
  expect(isOther, `write gives "${now.prompt}" as it would without the adapter`);
  const scoreOf = async (subject: StoredRun) =>
    (await evaluate(configOf(run), { subject: { run: subject }, split: 'validation' })).score;
  const [score, untrainedScore] = [await scoreOf(run), await scoreOf(untrained)];
  const scores = `${formatShare(score)} of validation, untrained ${formatShare(untrainedScore)}`;
  expect(score > untrainedScore, `the policy learnt nothing: ${scores}`);
  console.log(`policy: "${now.prompt}", ln P ${now.logProb.toFixed(2)}; ${scores}`);
} finally {
  await rm(folder, { recursive: true });
}

/** The run as if its adapter had stayed at the start, where B is zero; and whether it is not. */
async function withoutTraining(trained: StoredRun, to: string) {
  const adapter = trained.result?.files?.find((file) => file.endsWith('.safetensors'));
  if (!adapter) throw new Error(`run ${trained.id} left no adapter`);
  await cp(dirname(dirname(adapter)), to, { recursive: true });
  const bytes = await readFile(adapter);
  const weights = await openSafetensors(adapter);
  let isTrained = false;
  for (const { name, offset, sizeBytes } of weights.tensors.values()) {
    if (!name.includes('lora_B')) continue;
    isTrained ||= (await weights.read(name)).some((value) => value !== 0);
    bytes.fill(0, offset, offset + sizeBytes);
  }
  await weights.close();
  const own = join(to, 'peft', basename(adapter));
  await writeFile(own, bytes);
  const files = trained.result!.files!.map((file) => (file === adapter ? own : file));
  return { untrained: { ...trained, result: { ...trained.result!, files } }, isTrained };
}

function expect(isSo: boolean, otherwise: string): void {
  if (!isSo) throw new Error(`run ${run.id}: ${otherwise}`);
}
