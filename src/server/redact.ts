/**
 * Keeps secrets out of what the studio sends. Configurations hold references (env:NAME) and providers
 * take keys out of their errors; this is the last door, for what a server echoed or a person typed in the
 * wrong place: values of environment variables that are secrets by their name or their look, in the forms
 * in which a key may be echoed, keys of known shapes, and passwords in addresses.
 */
import { formsOf, redactor, SECRET_LOOK } from '../providers/secrets.ts';
import type { Environment } from '../util/data-folder.ts';

export type Redact = (text: string) => string;

const SECRET_NAME = /key|token|secret|passw|passphrase|credential/i;
const MIN_LENGTH = 8;
const USER_INFO = /\b([a-z][a-z0-9+.-]{0,20}:\/\/)[^\s/?#@"'\\]{1,1000}@/gi;

/** A function that takes the secrets of an environment out of a text. */
export function createRedact(env: Environment): Redact {
  const patterns = redactor();
  const forms = secretsOf(env).flatMap(formsOf);
  const longestFirst = [...new Set(forms)].sort((a, b) => b.length - a.length);
  const known = longestFirst.length > 0 ? new RegExp(longestFirst.map(literal).join('|'), 'g') : undefined; // biome-ignore format: one line
  return (text) => {
    const clean = known ? text.replace(known, '[key]') : text;
    return patterns(clean).replace(USER_INFO, '$1[key]@');
  };
}

function secretsOf(env: Environment): string[] {
  return Object.entries(env).flatMap(([name, value = '']) => {
    const text = value.trim();
    const isSecret = SECRET_NAME.test(name) ? !text.startsWith('/') : SECRET_LOOK.test(text);
    return isSecret && text.length >= MIN_LENGTH ? [text] : [];
  });
}

function literal(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
