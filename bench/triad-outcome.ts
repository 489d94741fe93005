/** What became of the runs of the deadly-triad study: failures by definition, and the table. */
/** Steps over which a reward is averaged. */
const WINDOW = 20;

export interface Arm {
  readonly adapter: 'mlp' | 'table';
  readonly bootstrap: boolean;
  readonly replay: number;
  /** 1: no lag. */
  readonly targetRate: number;
  readonly learningRate: number;
}

/** What is kept of one step. */
export interface Report {
  /** Mean and best reward of the step's prompts. */
  readonly reward: number;
  readonly best: number;
  readonly quantities: Readonly<Record<string, number>>;
  readonly hasWarned: boolean;
}

/** What became of one run, judged by its quantities alone. */
export interface Outcome {
  /** A number that is none, or |Q| grown to more than ten times what rewards can account for. */
  readonly hasDiverged: boolean;
  /** Reward rose by a deviation of random prompts' rewards and lost three quarters of its rise. */
  readonly hasFallen: boolean;
  /** One prompt over and over at the end, worth less than halfway from floor to ceiling. */
  readonly isStuck: boolean;
  /** |Q| grew beyond what rewards can account for. */
  readonly isSoft: boolean;
  readonly growth: number;
  readonly final: number;
  readonly peak: number;
  /** Reward of the best prompt that was tried. */
  readonly best: number;
  readonly restored: number;
  /** Step of the first warning. */
  readonly warned: number | undefined;
}

export interface Scale {
  readonly floor: number;
  readonly deviation: number;
  readonly ceiling: number;
}

export function judgeRun(
  reports: readonly Report[],
  { floor, deviation, ceiling }: Scale,
): Outcome {
  const perStep = reports.map(({ reward }) => reward);
  const windows = perStep.map((_, i) => mean(perStep.slice(Math.max(0, i + 1 - WINDOW), i + 1)));
  const full = windows.slice(WINDOW - 1);
  const [peak, final] = [Math.max(...full), full.at(-1)!];
  const quantity = (name: string) => reports.map(({ quantities }) => quantities[name]!);
  const q = quantity('qAbsMax');
  const realisable = quantity('realisable')[0]!;
  const growth = Math.max(...q.map((x) => x - q[0]!));
  const diverged = q.findIndex((x) => !(x - q[0]! <= 10 * realisable));
  const hasFallen = peak > floor + deviation && final < floor + (peak - floor) / 4;
  const flat = quantity('zeroVariance').slice(-WINDOW);
  const isStuck = mean(flat) >= 0.9 && final < (floor + ceiling) / 2;
  const warned = reports.findIndex(({ hasWarned }) => hasWarned);
  return {
    hasDiverged: diverged >= 0,
    hasFallen,
    isStuck,
    isSoft: growth > realisable,
    growth,
    final,
    peak,
    best: Math.max(...reports.map(({ best }) => best)),
    restored: quantity('restores').at(-1)!,
    warned: warned >= 0 ? warned + 1 : undefined,
  };
}

export function summary(outcomes: readonly Outcome[]) {
  const count = (f: (o: Outcome) => boolean) => outcomes.filter(f).length;
  const isBad = (o: Outcome) => o.hasDiverged || o.hasFallen || o.isStuck;
  return {
    runs: outcomes.length,
    diverged: count((o) => o.hasDiverged),
    fell: count((o) => o.hasFallen),
    stuck: count((o) => o.isStuck),
    badEnds: count(isBad),
    soft: count((o) => o.isSoft),
    warned: count((o) => o.warned !== undefined),
    warnedAndBad: count((o) => o.warned !== undefined && isBad(o)),
    final: mean(outcomes.map((o) => o.final)),
    peak: mean(outcomes.map((o) => o.peak)),
    best: mean(outcomes.map((o) => o.best)),
    growth: Math.max(...outcomes.map((o) => o.growth)),
    restored: outcomes.reduce((a, o) => a + o.restored, 0),
  };
}

export function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}

type Line = Arm & ReturnType<typeof summary> & { kind: string; guard: boolean };

/** The study as markdown: an arm a line; counts and means without the guard, then with it. */
export function triadTable(lines: readonly object[]): string {
  const arms = (lines as readonly Line[]).filter(({ kind }) => kind === 'arm');
  const half = ['soft', 'growth', 'bad end', 'final', 'best'];
  const head = [
    ...['rate', 'adapter', 'bootstrap', 'replay', 'lag', ...half],
    ...[...half, 'restores'].map((name) => `guard: ${name}`),
  ];
  const onOff = (is: boolean) => (is ? 'on' : 'off');
  const cells = (a: Line) => [
    `${a.soft}/${a.runs}`,
    a.growth.toFixed(0),
    `${a.badEnds}/${a.runs}`,
    a.final.toFixed(0),
    a.best.toFixed(0),
  ];
  const rows = arms
    .filter(({ guard }) => !guard)
    .map((off) => {
      const on = arms[arms.indexOf(off) + 1]!;
      return [
        ...[String(off.learningRate), off.adapter, onOff(off.bootstrap), onOff(off.replay > 0)],
        ...[onOff(off.targetRate < 1), ...cells(off), ...cells(on), String(on.restored)],
      ];
    });
  const line = (row: readonly string[]) => `| ${row.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}
