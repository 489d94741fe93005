/**
 * A folder `peft/` that Hugging Face PEFT loads: virtual tokens or LoRA factors with their
 * configuration. The tensors are saved anew and opened from there; what PEFT has no place for (where
 * virtual tokens stand, what a policy reads) lies beside it.
 */
import { join } from 'node:path';
import { DataError, WhetstoneError } from '../../errors.ts';
import { openFile } from '../../runs/evaluate.ts';
import { exporter, tensorKinds } from '../exporter.ts';
import type { Finding } from '../finding.ts';

const TENSORS = 'peft/adapter_model.safetensors';

export const peft = exporter({
  name: 'peft',
  kinds: tensorKinds,
  async write(finding, folder) {
    const { bench, files, run } = finding;
    const main = files.find(({ name }) => name.endsWith('.safetensors'));
    if (!main) throw new WhetstoneError(`run ${run.id}: it left no tensor`);
    const solution = await openFile(main.path, run.method, bench);
    try {
      await solution.save(folder);
    } finally {
      await solution.close();
    }
    return [{ name: 'README.md', data: noteOf(finding) }];
  },
  read: ({ files, folder }) => {
    if (files.has(TENSORS)) return { kind: 'tensor', path: join(folder, TENSORS) };
    throw new DataError(`${TENSORS}: the file is missing from the export`);
  },
});

function noteOf({ kind, run, taskLm, policyLm, prompt }: Finding): string {
  const base = kind === 'policy' ? policyLm : taskLm;
  const what = {
    'soft-prompt': 'Virtual tokens; `peft/README.md` says where they stand.',
    weights: 'LoRA factors beside the frozen task LM.',
    policy: 'LoRA factors of the policy LM; `policy.json` says what it reads before it writes.',
    text: '',
  }[kind];
  return `# Run ${run.id}: ${prompt.replaceAll('\n', ' ')}

${what}

\`\`\`python
from peft import PeftModel
from transformers import AutoModelForCausalLM

base = AutoModelForCausalLM.from_pretrained("PATH OF THE BASE MODEL")  # ${base.replaceAll('\n', ' ')}
model = PeftModel.from_pretrained(base, "peft")
\`\`\`
`;
}
