/** Numbers, dates and scores as people read them. */
import type { Score } from '../../src/server/contract.ts';

/** "82.1%". */
export const share = (value: number): string => `${(value * 100).toFixed(1)}%`;

/** "74.9 to 88.0%". */
export const interval = ([low, high]: readonly [number, number]): string =>
  `${(low * 100).toFixed(1)} to ${(high * 100).toFixed(1)}%`;

export const score = (value: Score): string =>
  `${share(value.score)} (${interval(value.interval)})`;

/** "23,140". */
export const count = (value: number): string => Math.round(value).toLocaleString('en-US');

/** A number with three or so digits that matter. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 10_000) return count(value);
  if (size > 0 && size < 0.001) return value.toExponential(1);
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : size >= 1 ? 2 : 3).replace(/\.0+$/, '');
}

/** "42 s", "2 min 31 s", "1 h 05 min". */
export function duration(seconds: number): string {
  const s = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, '0');
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${two(s % 60)} s`;
  if (s < 172_800) return `${Math.floor(s / 3600)} h ${two(Math.floor((s % 3600) / 60))} min`;
  return `${Math.round(s / 86_400)} days`;
}

/** "just now", "5 min ago", "3 h ago", "12 Nov 2026". */
export function ago(iso: string, now: number): string {
  const seconds = (now - Date.parse(iso)) / 1000;
  if (!Number.isFinite(seconds)) return iso;
  if (seconds < 45) return 'just now';
  if (seconds < 3600) return `${Math.max(1, Math.round(seconds / 60))} min ago`;
  if (seconds < 86_400) return `${Math.round(seconds / 3600)} h ago`;
  return new Date(iso).toLocaleDateString('en-GB', {
    day: 'numeric',
    month: 'short',
    year: 'numeric',
  });
}

/** "25 Nov 2026, 14:03:22". */
export const moment = (iso: string): string =>
  new Date(iso).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

export const clock = (iso: string): string => new Date(iso).toLocaleTimeString('en-GB');

/** "93.8 MB". */
export function bytes(value: number): string {
  const units = ['bytes', 'kB', 'MB', 'GB', 'TB'];
  let size = value;
  let unit = 0;
  while (size >= 1000 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${unit === 0 ? size : size.toFixed(size < 10 ? 2 : 1)} ${units[unit]}`;
}

/** "p < 0.001", "p = 0.032". */
export const pValue = (p: number): string => (p < 0.001 ? 'p < 0.001' : `p = ${p.toFixed(3)}`);

/** A value of a configuration on one line. */
export const value = (given: unknown): string =>
  given === undefined ? 'not set' : typeof given === 'string' ? given : JSON.stringify(given);
