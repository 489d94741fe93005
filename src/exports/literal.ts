/**
 * Texts of a model as literals that show all that is in them: what does not show, or changes how its
 * neighbours show, is written by its code. Read by any reader of JSON, JavaScript, or YAML.
 */

/** Controls, format characters (zero width, bidirectional), surrogates, odd spaces, private use. */
const ODD =
  /[\p{C}\p{Zl}\p{Zp}\u00a0\u1680\u2000-\u200a\u202f\u205f\u3000\u115f\u1160\u3164\uffa0]/gu;

const hex = (code: number, digits: number) => code.toString(16).toUpperCase().padStart(digits, '0');

/** A JSON or JavaScript string in double quotes, on one line. */
export function stringLiteral(text: string): string {
  return showOdd(JSON.stringify(text));
}

/** A JSON text, two spaces a level. */
export function jsonText(value: unknown): string {
  // Line ends between values are JSON's own; inside a string there are none.
  return JSON.stringify(value, null, 2)
    .split('\n')
    .map((line) => showOdd(line))
    .join('\n');
}

function showOdd(json: string): string {
  return json.replace(ODD, (character) =>
    [...character.split('')].map((unit) => `\\u${hex(unit.charCodeAt(0), 4)}`).join(''),
  );
}

/** YAML's scalars in double quotes: its escapes know whole code points. */
export function yamlLiteral(text: string): string {
  return JSON.stringify(text).replace(ODD, (character) => {
    const code = character.codePointAt(0)!;
    return code > 0xffff ? `\\U${hex(code, 8)}` : `\\u${hex(code, 4)}`;
  });
}
