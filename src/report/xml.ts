import { escaped } from './one-line.ts';

/** What XML 1.0 has no way to write, not even as a reference: most control characters, lone surrogates, two more. */
// oxlint-disable-next-line no-control-regex -- these are the characters that are meant
const FORBIDDEN = /[\p{Cs}\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/gu;
const ENTITIES: Readonly<Record<string, string>> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;' };

/** Text as the content of an element. A carriage return is a reference, or a parser would make a line feed of it. */
export function xmlText(text: string): string {
  return text.replace(FORBIDDEN, escaped).replace(/[&<>\r]/g, reference);
}

/** An attribute with a space before it. Line breaks and tabs are references, or a parser would make spaces of them. */
export function xmlAttribute(name: string, value: string | number): string {
  const text = String(value)
    .replace(FORBIDDEN, escaped)
    .replace(/[&<>"\t\n\r]/g, reference);
  return ` ${name}="${text}"`;
}

function reference(character: string): string {
  return ENTITIES[character] ?? `&#${character.charCodeAt(0)};`;
}
