/** Which method a configuration names, with its options, and whether models and budget can serve it. */
import { ConfigError } from '../errors.ts';
import {
  type CheckAbout,
  type LmKind,
  type Method,
  methods,
  openTaskLms,
} from '../methods/index.ts';
import type { AnyTask } from '../tasks/index.ts';
import { expectation } from '../util/expectation.ts';
import { nearest } from '../util/suggest.ts';
import type { Bench } from './bench.ts';
import type { Config } from './config.ts';

/** Methods of a library's user, by name. */
export type OwnMethods = Readonly<Record<string, Method>>;

/**
 * The configured method and its options: those under `methods`, those under `method` on top.
 * @throws ConfigError for an unknown method or option, naming the known ones
 */
export function methodOf(
  config: Config,
  own: OwnMethods = {},
): { method: Method; methodOptions: unknown } {
  const all = { ...(methods as unknown as OwnMethods), ...own };
  const { name } = config.method;
  refuseUnknown(name, 'method.name', all);
  for (const other of Object.keys(config.methods ?? {})) refuseUnknown(other, 'methods', all);
  const method = all[name]!;
  const given = { ...config.methods?.[name], ...config.method };
  const parsed = method.options.safeParse(given);
  if (parsed.success) return { method, methodOptions: parsed.data };
  const issue = parsed.error.issues[0]!;
  const [first] = issue.code === 'unrecognized_keys' ? issue.keys : issue.path;
  const isOwn = first === undefined || first in config.method;
  const place = [...(isOwn ? ['method'] : ['methods', name]), ...issue.path].join('.');
  if (issue.code !== 'unrecognized_keys') {
    throw new ConfigError(`${place}: ${expectation(issue, given)}`);
  }
  const schema = method.options as unknown as { shape?: object };
  const options = Object.keys(schema.shape ?? {}).filter((key) => key !== 'name');
  throw new ConfigError(
    `${place}.${issue.keys[0]}: unknown key; options of ${name} are ${options.join(', ') || 'none'}`,
  );
}

/**
 * The options with what their files hold, checked before anything is spent.
 * @throws ConfigError and DataError for what the method cannot work with
 */
export async function completedOptions(
  method: Method,
  options: unknown,
  about: CheckAbout,
): Promise<unknown> {
  return (await method.check?.(options, about)) ?? options;
}

/** @throws ConfigError naming the known ones */
export function refuseUnknown(name: string, place: string, all: object = methods): void {
  const known = Object.keys(all);
  if (known.includes(name)) return;
  const near = nearest(name, known);
  throw new ConfigError(
    `${place}: there is no method "${name}", known are ${known.join(', ')}${near ? `; did you mean ${near}?` : ''}`,
  );
}

/**
 * Checks that the LMs can serve the methods, before anything is spent.
 * @throws ConfigError naming the methods that can be served
 */
export async function refuseUnserved(bench: Bench, wanted: readonly Method[]): Promise<void> {
  const kind = bench.lmKind;
  const fits = ({ needs }: Method) => (needs?.taskLm ?? openTaskLms).includes(kind);
  const served = async (method: Method) =>
    fits(method) && (!method.needs?.policyLm || (await policyKind(bench)) === 'causal');
  // No model is opened only to be named.
  const isNamed = (method: Method) =>
    kind === 'text'
      ? fits(method) && (!method.needs?.policyLm || bench.policyLm !== undefined)
      : served(method);
  for (const method of wanted) {
    if (await served(method)) continue;
    const names: string[] = [];
    for (const other of Object.values(methods) as unknown as Method[]) {
      if (await isNamed(other)) names.push(other.name);
    }
    throw new ConfigError(
      `method ${method.name} cannot be used here: ${await whyNot(bench, fits(method))}; methods that can: ${names.join(', ')}`,
    );
  }
}

/**
 * Checks that the budget lasts for a first step of each method, before anything is spent.
 * @throws ConfigError saying what one step costs
 */
export function refuseSmallBudget(
  chosen: readonly { readonly method: Method; readonly options: unknown }[],
  { budget: { evaluations } }: Config,
  task: AnyTask,
): void {
  if (evaluations === undefined) return;
  const costs = chosen.map(({ method, options }) => ({
    name: method.name,
    least: method.leastEvaluations?.(options, task) ?? 0,
  }));
  const tooDear = costs.filter(({ least }) => least > evaluations);
  if (tooDear.length === 0) return;
  const list = tooDear.map(({ name, least }) => `${name} ${least}`).join(', ');
  throw new ConfigError(
    `budget.evaluations: ${evaluations} are too few for one step on ${task.train.length} train examples, it costs: ${list}; raise the budget or lower the method's options`,
  );
}

async function policyKind(bench: Bench): Promise<LmKind> {
  return (await bench.policyLm?.())?.config.kind ?? 'text';
}

async function whyNot(bench: Bench, doesFit: boolean): Promise<string> {
  const { name } = bench.taskLm;
  if (!doesFit && bench.lmKind === 'text') {
    return `it needs the task LM's token ids, logits or gradients, and ${name} is asked in text`;
  }
  if (!doesFit) return `the task LM ${name} is ${bench.lmKind}`;
  if (!bench.policyLm) return 'it trains the policy LM, which is behind an API; take a local one';
  return `it needs a causal policy LM, ${(await bench.policyLm()).name} is masked`;
}
