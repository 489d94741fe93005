/**
 * A configuration as it may leave this machine: what looks like a key is taken out of its texts, and
 * so is what an address carries behind "?". Keys themselves are never in a configuration, references
 * such as env:NAME are, and stay.
 */
import { redactor, SECRET_NAME } from '../providers/secrets.ts';

const redact = redactor(undefined);

export function redacted(value: unknown, name = ''): unknown {
  if (typeof value === 'string') return redactText(value, name);
  if (Array.isArray(value)) return value.map((one) => redacted(one, name));
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, redacted(one, key)]));
}

function redactText(text: string, name: string): string {
  if (text.startsWith('env:')) return text;
  if (SECRET_NAME.test(name)) return '[left out]';
  const clean = /^https?:\/\//.test(text) ? text.replace(/\?.*$/s, '?[left out]') : text;
  return redact(clean);
}
