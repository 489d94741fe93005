/**
 * Keys: named by reference in a configuration, read from the environment, and taken out of every
 * text that comes back, by their value and in the forms in which a server may echo it.
 */
import { ConfigError } from '../errors.ts';
import type { Environment } from '../util/data-folder.ts';

/** "env:NAME": where a key is, never what it is. */
export const KEY_REFERENCE = /^env:([A-Za-z_][A-Za-z0-9_]*)$/;

export const KEY_ADVICE =
  'expected a reference such as env:OPENAI_API_KEY: put the key into an environment variable and name that, a key itself never belongs into a configuration';

export interface Key {
  readonly value: string;
  /** The variable that holds it. */
  readonly variable: string;
}

/**
 * The key that a reference names, or the first of `usual` variables that is set.
 * @throws ConfigError when a named variable is not set, or its value cannot be a key
 */
export function readKey(
  model: string,
  reference: string | undefined,
  { env, usual }: { env: Environment; usual: readonly string[] },
): Key | undefined {
  const named = reference === undefined ? undefined : KEY_REFERENCE.exec(reference)?.[1];
  if (reference !== undefined && named === undefined) {
    throw new ConfigError(`${model}: apiKey: ${KEY_ADVICE}`);
  }
  const variables = named ? [named] : usual;
  const variable = variables.find((name) => env[name]?.trim());
  if (variable === undefined) {
    if (variables.length === 0) return undefined;
    const other = named ? '' : ', or name another variable by apiKey: env:NAME';
    throw new ConfigError(
      `${model}: needs a key and ${variables.join(' and ')} ${variables.length > 1 ? 'are' : 'is'} not set; set ${variables[0]}${other}`,
    );
  }
  const value = env[variable]!.trim();
  if (!/^[\x21-\x7e]+$/.test(value)) {
    throw new ConfigError(
      `${model}: ${variable} holds characters that no key has (spaces, line breaks or others); set it again`,
    );
  }
  return { value, variable };
}

/** A function that takes keys, in whatever form, out of a text. */
export function redactor(...keys: readonly (Key | undefined)[]): (text: string) => string {
  const forms = keys.flatMap((key) => (key ? formsOf(key.value) : []));
  return (text) => {
    let clean = text;
    for (const form of forms) clean = clean.replaceAll(form, '[key]');
    // A key that the server shortened itself ("sk-ab***yz") or that belongs to somebody else.
    // Lengths have bounds, so that no text takes a time that grows with its square.
    return clean
      .replace(
        /\b(?:sk|pk|hf|xai|gsk|AIza)[-_A-Za-z0-9]{0,200}[*•.…]{3,200}[-_A-Za-z0-9]*/g,
        '[key]',
      )
      .replace(/\b(?:sk-|hf_|gsk_|AIza)[-_A-Za-z0-9]{16,}/g, '[key]')
      .replace(AUTHORIZATION, '$1 [key]')
      .replace(SCHEME, '$1 [key]');
  };
}

/** In a header whatever follows is a key; elsewhere "basic arithmetic" is none. */
const AUTHORIZATION =
  /\b(authorization["']?\s{0,9}[:=]\s{0,9}["']?(?:Bearer|Basic))\s+[^\s"',;]+/gi;
const SCHEME =
  /\b(Bearer|Basic|bearer|basic)\s+(?=[^\s"',;]*(?:\d|[a-z][A-Z]|={1,2}(?![^\s"',;]))|[^\s"',;]{24})[^\s"',;]{6,}/g;

/** Names of options and headers that hold what nobody else should see. */
export const SECRET_NAME =
  /authorization|cookie|secret|password|passwd|passphrase|token$|api[-_]?key|credential/i;
/** Long, of letters and digits, no path and no sentence: as keys are made. */
export const SECRET_LOOK = /^(?=.*\d)(?=.*[a-z])[\w+=.~-]{24,}$/i;

/** Where plain data holds what looks like a key, as "headers.Authorization"; undefined where nothing does. */
export function placeOfKey(value: unknown, path: readonly string[] = []): string | undefined {
  if (typeof value === 'string') return looksLikeKey(value, path) ? path.join('.') : undefined;
  if (value === null || typeof value !== 'object') return undefined;
  for (const [name, one] of Object.entries(value)) {
    const found = placeOfKey(one, [...path, name]);
    if (found !== undefined) return found;
  }
  return undefined;
}

function looksLikeKey(text: string, path: readonly string[]): boolean {
  if (text === '' || KEY_REFERENCE.test(text)) return false;
  const hasSecretName = path.some((name) => SECRET_NAME.test(name));
  return (
    hasSecretName || SECRET_LOOK.test(text) || noKey(text) !== text || /:\/\/[^/?#\s]*@/.test(text)
  );
}

const noKey = redactor();

/**
 * Plain data with the keys that it names put in, and those keys.
 * @throws ConfigError when a variable that it names is not set
 */
export function withKeys<T>(model: string, data: T, env: Environment): { data: T; keys: Key[] } {
  const keys: Key[] = [];
  const put = (value: unknown): unknown => {
    if (typeof value === 'string' && KEY_REFERENCE.test(value)) {
      const key = readKey(model, value, { env, usual: [] })!;
      keys.push(key);
      return key.value;
    }
    if (Array.isArray(value)) return value.map(put);
    if (value === null || typeof value !== 'object') return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, put(one)]));
  };
  return { data: put(data) as T, keys };
}

/** The forms in which a server may echo a key. */
export function formsOf(value: string): string[] {
  const forms = [
    value,
    encodeURIComponent(value),
    JSON.stringify(value).slice(1, -1),
    Buffer.from(value).toString('base64').replace(/=+$/, ''),
    Buffer.from(value).toString('base64url'),
    Buffer.from(value).toString('hex'),
  ];
  // The longest first, so that no form leaves a part of another; too short a value is no secret.
  return [...new Set(forms)].filter((f) => f.length >= 4).sort((a, b) => b.length - a.length);
}
