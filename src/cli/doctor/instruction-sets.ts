/** Instruction sets of this processor that matter for matrix products. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

const WANTED: readonly (readonly [flag: RegExp, name: string])[] = [
  [/^avx2$/i, 'avx2'],
  [/^avx512f$/i, 'avx512'],
  [/^(avx512_vnni|avx512vnni)$/i, 'avx512-vnni'],
  [/^avx_vnni$/i, 'avx-vnni'],
  [/^avx512_bf16$/i, 'avx512-bf16'],
  [/^amx_int8$/i, 'amx-int8'],
  [/^amx_bf16$/i, 'amx-bf16'],
  [/^(asimd|neon)$/i, 'neon'],
  [/^(asimddp|FEAT_DotProd)$/i, 'dotprod'],
  [/^(i8mm|FEAT_I8MM)$/i, 'i8mm'],
  [/^sve$/i, 'sve'],
];

/** Names of those that are there; undefined where the system does not tell. */
export function instructionSets(): string[] | undefined {
  const flags = processorFlags();
  if (flags === undefined) return undefined;
  return WANTED.filter(([pattern]) => flags.some((flag) => pattern.test(flag))).map(([, n]) => n);
}

function processorFlags(): string[] | undefined {
  if (process.platform === 'linux') {
    try {
      const text = readFileSync('/proc/cpuinfo', 'utf8');
      return /^(?:flags|Features)\s*:(.*)$/m.exec(text)?.[1]?.trim().split(/\s+/);
    } catch {
      return undefined; // a container that hides it
    }
  }
  if (process.platform !== 'darwin') return undefined;
  const { stdout } = spawnSync('sysctl', ['-a'], { encoding: 'utf8', maxBuffer: 2 ** 24 });
  if (!stdout) return undefined;
  const arm = [...stdout.matchAll(/^hw\.optional\.arm\.(\w+): 1$/gm)].map((match) => match[1]!);
  const intel = /^machdep\.cpu\.(?:leaf7_)?features: (.*)$/gm;
  const flags = [...stdout.matchAll(intel)].flatMap((match) => match[1]!.split(/\s+/));
  return [...arm, ...flags, ...(arm.length > 0 ? ['neon'] : [])];
}
