/** Text with its control characters as escapes: a file may be named anything, and an error is one line. */
export function oneLine(text: string): string {
  return text.replace(/\p{Cc}/gu, (character) => JSON.stringify(character).slice(1, -1));
}
