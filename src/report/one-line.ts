/** Control characters, lone surrogates, and the two separators that end a line to some readers. */
const UNPRINTABLE = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/gu;
const SHORT: Readonly<Record<string, string>> = { '\t': '\\t', '\n': '\\n', '\r': '\\r' };

/** Text with what cannot be printed as escapes: a file may be named anything, and an error is one line. */
export function oneLine(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** A character as an escape: `\n`, or its UTF-16 code unit as `\u001b`. */
export function escaped(character: string): string {
  return SHORT[character] ?? `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}
