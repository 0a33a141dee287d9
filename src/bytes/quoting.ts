// Names of files may contain any character. These functions make them safe to print on one line and to paste into a shell.

/** Control characters, lone surrogates, and the two separators that end a line for some readers. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu;
const SHORT_ESCAPES: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** The text with every unprintable character escaped, so that it stays on one line. */
export function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** A character as an escape: `\n`, or its UTF-16 code unit as `\u001b`. */
export function escaped(character: string): string {
  return SHORT_ESCAPES[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** The path of a file as an argument on a POSIX command line: quoted where needed, and never read as an option. */
export function shellPath(path: string): string {
  return shellWord(path.startsWith('-') ? `./${path}` : path);
}

/** Characters that would break the line, or not be visible in it. */
const NEEDS_ESCAPE = /[\p{Cc}\p{Zl}\p{Zp}]/u;

/** A word as a POSIX shell reads it, on one line: plain where possible, else quoted. */
export function shellWord(text: string): string {
  if (NEEDS_ESCAPE.test(text)) return `$'${text.replace(/[\p{Cc}\p{Zl}\p{Zp}'\\]/gu, octalBytes)}'`;
  return /^[\w@%+=:,./][\w@%+=:,./-]*$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** The UTF-8 bytes of a character as octal escapes, which `$'...'` understands. */
function octalBytes(character: string): string {
  return Array.from(Buffer.from(character), (byte) => `\\${byte.toString(8).padStart(3, '0')}`).join('');
}
