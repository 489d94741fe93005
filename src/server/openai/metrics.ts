/**
 * Counts in Prometheus' text format. Label values are few by construction: paths that exist, statuses,
 * and label words of the task.
 * Source: prometheus.io/docs/instrumenting/exposition_formats, version 0.0.4.
 */
const BUCKETS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120];

export interface Gauges {
  readonly waiting: number;
  readonly inProgress: number;
}

export class Metrics {
  private readonly counters = new Map<string, Map<string, number>>();
  private readonly seconds = { buckets: BUCKETS.map(() => 0), sum: 0, count: 0 };
  private readonly started = Date.now() / 1000;
  private readonly about: Readonly<Record<string, string>>;

  constructor(about: Readonly<Record<string, string>>) {
    this.about = about;
  }

  count(name: Counter, labels: Readonly<Record<string, string>>, by = 1): void {
    const series = this.counters.get(name) ?? new Map<string, number>();
    this.counters.set(name, series);
    const key = labelText(labels);
    series.set(key, (series.get(key) ?? 0) + by);
  }

  observe(seconds: number): void {
    this.seconds.sum += seconds;
    this.seconds.count++;
    BUCKETS.forEach((most, i) => {
      if (seconds <= most) this.seconds.buckets[i]!++;
    });
  }

  total(name: Counter): number {
    return [...(this.counters.get(name)?.values() ?? [])].reduce((a, b) => a + b, 0);
  }

  text({ waiting, inProgress }: Gauges): string {
    const lines = [
      ...head('whetstone_info', 'What is served.', 'gauge'),
      `whetstone_info${labelText(this.about)} 1`,
      ...Object.entries(COUNTERS).flatMap(([name, help]) => [
        ...head(name, help, 'counter'),
        ...[...(this.counters.get(name) ?? [])].map(([labels, n]) => `${name}${labels} ${n}`),
      ]),
      ...this.histogram(),
      ...gauge('whetstone_queue_waiting', 'Questions that wait.', waiting),
      ...gauge('whetstone_in_progress', 'Questions that are being answered.', inProgress),
      ...gauge('process_resident_memory_bytes', 'Resident memory.', process.memoryUsage.rss()),
      ...gauge('process_start_time_seconds', 'Start of the server since 1970.', this.started),
    ];
    return `${lines.join('\n')}\n`;
  }

  private histogram(): string[] {
    const name = 'whetstone_request_seconds';
    const { buckets, sum, count } = this.seconds;
    return [
      ...head(name, 'Time of requests that were answered, waiting included.', 'histogram'),
      ...BUCKETS.map((most, i) => `${name}_bucket{le="${most}"} ${buckets[i]}`),
      `${name}_bucket{le="+Inf"} ${count}`,
      `${name}_sum ${sum}`,
      `${name}_count ${count}`,
    ];
  }
}

const COUNTERS = {
  whetstone_requests_total: 'Requests by path and status.',
  whetstone_tokens_total: 'Tokens of the task LM by direction.',
  whetstone_answers_total: 'Answers by label word, where the task has them.',
} as const;

export type Counter = keyof typeof COUNTERS;

function head(name: string, help: string, type: string): string[] {
  return [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`];
}

function gauge(name: string, help: string, value: number): string[] {
  return [...head(name, help, 'gauge'), `${name} ${value}`];
}

function labelText(labels: Readonly<Record<string, string>>): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${escaped(value)}"`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

function escaped(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
