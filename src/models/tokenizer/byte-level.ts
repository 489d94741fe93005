/**
 * GPT-2's way to write bytes as visible characters: printable Latin-1 stands for itself, the other
 * 68 byte values get the characters from U+0100 on. Vocabularies store tokens in this form.
 */

const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const encoder = new TextEncoder();

const CHAR_OF_BYTE: readonly string[] = byteCharacters();
const BYTE_OF_CHAR: ReadonlyMap<string, number> = new Map(CHAR_OF_BYTE.map((c, b) => [c, b]));

/** The visible form of a text's UTF-8 bytes. */
export function toByteLevel(text: string): string {
  let out = '';
  for (const byte of encoder.encode(text)) out += CHAR_OF_BYTE[byte];
  return out;
}

/** The bytes that a visible form stands for; text that is no visible form gives its own bytes. */
export function fromByteLevel(token: string): number[] {
  const bytes: number[] = [];
  for (const char of token) {
    const byte = BYTE_OF_CHAR.get(char);
    if (byte === undefined) return [...encoder.encode(token)];
    bytes.push(byte);
  }
  return bytes;
}

/** Text of UTF-8 bytes; what is no UTF-8 becomes U+FFFD. */
export function textOfBytes(bytes: readonly number[]): string {
  return decoder.decode(Uint8Array.from(bytes));
}

/** The 256 characters, in the order of the bytes. */
export function byteAlphabet(): readonly string[] {
  return CHAR_OF_BYTE;
}

/** "<0x0A>" → 10; the form in which SentencePiece vocabularies store single bytes. */
export function byteOfToken(token: string): number | undefined {
  return /^<0x[0-9A-F]{2}>$/.test(token) ? Number.parseInt(token.slice(3, 5), 16) : undefined;
}

/** 10 → "<0x0A>". */
export function tokenOfByte(byte: number): string {
  return `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`;
}

function byteCharacters(): string[] {
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => {
    const printable =
      (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
    return String.fromCharCode(printable ? byte : next++);
  });
}
