import { grouped } from '../bytes/decimal.ts';
/** A column of a table: its heading, its width in characters, and the side on which its cells stand. */
export interface Column {
  readonly heading: string;
  readonly width: number;
  readonly align?: 'left' | 'right';
}

/** A row as a line, or the headings where no cells are given. A table is written row by row, so its widths are fixed. */
export function tableRow(columns: readonly Column[], cells?: readonly (string | number)[]): string {
  const texts = columns.map(({ heading, width, align }, index) => {
    const cell = cells === undefined ? heading : cellText(cells[index] ?? '');
    return align === 'left' ? cell.padEnd(width) : cell.padStart(width);
  });
  return `${texts.join('  ').trimEnd()}\n`;
}

function cellText(cell: string | number): string {
  return typeof cell === 'number' ? grouped(cell) : cell;
}

/** Bytes as text on one line: printable ASCII as it is, the rest as escapes, cut after `most` bytes. */
export function preview(bytes: Uint8Array, most: number): string {
  let text = '';
  for (const byte of bytes.subarray(0, most)) {
    if (byte === 0x5c) text += '\\\\';
    else if (byte >= 0x20 && byte < 0x7f) text += String.fromCharCode(byte);
    else text += `\\x${byte.toString(16).padStart(2, '0')}`;
  }
  return bytes.length > most ? `${text}…` : text;
}
