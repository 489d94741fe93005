/** Numbers as people read them. */

/** "42 s", "2 m 31 s", "1 h 05 m". */
export function formatSeconds(seconds: number): string {
  if (!Number.isFinite(seconds)) return '?';
  const s = Math.max(0, Math.round(seconds));
  if (s < 60) return `${s} s`;
  const two = (n: number) => String(n).padStart(2, '0');
  if (s < 3600) return `${Math.floor(s / 60)} m ${two(s % 60)} s`;
  return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} m`;
}

/** "93.8 MB"; powers of ten, as disks and networks are sold. */
export function formatBytes(bytes: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let value = bytes;
  let unit = 0;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 ? value : value.toFixed(value < 10 ? 2 : 1)} ${units[unit]}`;
}

/** "23,140". */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** "82.1%". */
export function formatShare(share: number): string {
  return `${(share * 100).toFixed(1)}%`;
}

/** "82.1% [74.9, 88.0]": a score with its 95% interval. */
export function formatScore({
  score,
  interval: [low, high],
}: {
  readonly score: number;
  readonly interval: readonly [low: number, high: number];
}): string {
  return `${formatShare(score)} [${(low * 100).toFixed(1)}, ${(high * 100).toFixed(1)}]`;
}

/** Money in dollars; `null` where a price is not known. */
export function formatUsd(usd: number | null): string {
  if (usd === null) return 'not known';
  return usd === 0 ? '$0' : `$${usd.toFixed(usd < 1 ? 4 : 2)}`;
}

/** A p-value of four decimals; none is 0. */
export function formatP(p: number): string {
  return p < 0.00005 ? '< 0.0001' : p.toFixed(4);
}

/** A number with three or so digits that matter. */
export function formatNumber(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3);
}
