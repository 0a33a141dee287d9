// Makes names of files, which may contain any character, safe to print on one line and to paste into a shell.

/**
 * Control characters, lone surrogates, two separators that some readers take for line ends, and the controls of
 * bidirectional text, which show other text in another order than it is.
 */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu;
const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

export function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** Bytes as a terminal may get them: text in which control characters other than tab and newline are escaped. */
export function terminalBytes(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString();
  return Buffer.from(
    text.replace(UNPRINTABLE, (character) =>
      character === '\n' || character === '\t' ? character : escaped(character),
    ),
  );
}

/** `\n`, or the UTF-16 code unit as `\u001b`. */
export function escaped(character: string): string {
  return SHORT_ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A POSIX shell argument: quoted where needed, never read as an option. */
export function shellPath(path: string): string {
  return shellWord(path.startsWith('-') ? `./${path}` : path);
}

/** As {@link UNPRINTABLE}: what is printed on one line later would change the others. */
const NEEDS_ESCAPE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}]/u;

/** A POSIX shell word on one line: plain where possible, else quoted. */
export function shellWord(text: string): string {
  if (NEEDS_ESCAPE.test(text))
    return `$'${text.replace(/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Bidi_Control}'\\]/gu, octalBytes)}'`;
  return /^[\w@%+=:,./][\w@%+=:,./-]*$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** Octal escapes of the UTF-8 bytes, for `$'...'`. */
function octalBytes(character: string): string {
  return Array.from(Buffer.from(character), (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}

/** JSON in which the characters that {@link oneLine} escapes are escaped too; a reader gets the same strings. */
export function printableJson(json: string): string {
  return json.replace(UNPRINTABLE, escaped);
}

const BACKSLASH = 0x5c;

/** In {@link ESCAPES}: a byte that begins a multi-byte sequence, and one that is not text. */
const SEQUENCE = 1;
const NOT_TEXT = 2;

/** How JSON writes a byte: 0 as it is, a letter after a backslash, or one of the entries above. */
const ESCAPES = new Uint8Array(256).fill(NOT_TEXT, 0, 0x20).fill(NOT_TEXT, 0x7f, 0x80).fill(SEQUENCE, 0x80);
for (const [character, letter] of Object.entries({ '"': '"', '\\': '\\', '\t': 't', '\n': 'n', '\r': 'r' }))
  ESCAPES[character.charCodeAt(0)] = letter.charCodeAt(0);

/**
 * Writes `source[start, end)` as the content of a JSON string, if it is UTF-8 without U+2028, U+2029, U+061C and control characters
 * other than tab, newline and carriage return. Other controls of bidirectional text become `\u202e`. `target` has room for twice the bytes.
 * @returns the offset after the text; -1 if it is not text: bytes from `offset` on may have changed
 */
export function writeJsonText(
  source: Uint8Array,
  start: number,
  end: number,
  target: Uint8Array,
  offset: number,
): number {
  let to = offset;
  let from = start;
  while (from < end) {
    const byte = source[from] as number; // start <= from < end <= source.length
    const escape = ESCAPES[byte] as number; // an entry for each byte
    if (escape === 0) {
      target[to++] = byte;
      from++;
    } else if (escape > NOT_TEXT) {
      target[to++] = BACKSLASH;
      target[to++] = escape;
      from++;
    } else {
      const bytes = escape === SEQUENCE ? sequenceBytes(source, from, end) : 0;
      if (bytes === 0) return -1;
      if (bytes === 3 && isBidiControl(source, from)) {
        to = writeEscape(source, from, target, to);
        from += 3;
      } else for (const next = from + bytes; from < next; from++) target[to++] = source[from] as number; // as above
    }
  }
  return to;
}

/** Of a sequence of three bytes. U+200E, U+200F, U+202A to U+202E, and U+2066 to U+2069 begin with E2. */
function isBidiControl(source: Uint8Array, at: number): boolean {
  if (source[at] !== 0xe2) return false;
  const [second, third = 0] = [source[at + 1], source[at + 2]];
  if (second === 0x80) return third === 0x8e || third === 0x8f || (third >= 0xaa && third <= 0xae);
  return second === 0x81 && third >= 0xa6 && third <= 0xa9;
}

const HEX_DIGITS = Buffer.from('0123456789abcdef');

/** Writes `\u` and four digits for a sequence of three bytes that begins with E2: as much as there is room for. */
function writeEscape(source: Uint8Array, at: number, target: Uint8Array, offset: number): number {
  const point = 0x2000 | (((source[at + 1] ?? 0) & 0x3f) << 6) | ((source[at + 2] ?? 0) & 0x3f);
  target[offset] = BACKSLASH;
  target[offset + 1] = 0x75;
  for (let digit = 0; digit < 4; digit++) {
    target[offset + 2 + digit] = HEX_DIGITS[(point >> (12 - 4 * digit)) & 0xf] as number; // below 16
  }
  return offset + 6;
}

/** 0 if the sequence is invalid, or of a character that is not written as text. */
function sequenceBytes(source: Uint8Array, at: number, end: number): number {
  const first = source[at] as number; // at < end <= source.length
  const bytes = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (bytes === 0 || at + bytes > end) return 0;
  let point = first & (0x7f >> bytes);
  for (let next = at + 1; next < at + bytes; next++) {
    const byte = source[next] as number; // next < end
    if ((byte & 0xc0) !== 0x80) return 0;
    point = (point << 6) | (byte & 0x3f);
  }
  if (bytes === 2) return point < 0xa0 || point === 0x61c ? 0 : 2;
  if (bytes === 4) return point < 0x10000 || point > 0x10ffff ? 0 : 4;
  const isSurrogate = point >= 0xd800 && point <= 0xdfff;
  return point < 0x800 || isSurrogate || point === 0x2028 || point === 0x2029 ? 0 : 3;
}
