import { BLOCK_BYTES, fileOffset } from '../format/layout.ts';
import type { Region } from '../format/regions.ts';

const LINE_BYTES = 16;

/**
 * Shows file offset, bytes, characters, and name and value of each region; `*` replaces equal lines, as in od and xxd.
 * @param regions - ascending by start; each byte is shown once, in the first region that contains it
 */
export function* hexdump(block: Uint8Array, blockId: number, regions: Iterable<Region>): Generator<string> {
  let shown = 0;
  for (const region of regions) {
    const start = Math.max(region.start, shown);
    const label = region.value === undefined ? region.name : `${region.name} = ${region.value}`;
    if (start >= region.end) {
      const why = region.start === region.end ? 'no bytes' : 'all bytes shown above';
      yield `${address(blockId, region.start)}  ${' '.repeat(3 * LINE_BYTES + 20)}${label} (${why})\n`;
      continue;
    }
    yield* dumpRange(block, blockId, start, region.end, start === region.start ? label : `${label} (begins above)`);
    shown = Math.max(shown, region.end);
  }
}

/** @param label - shown after the first line */
export function* dumpRange(
  block: Uint8Array,
  blockId: number,
  start: number,
  end: number,
  label: string,
): Generator<string> {
  let previous = '';
  let starred = false;
  for (let at = start; at < Math.min(end, BLOCK_BYTES); at += LINE_BYTES) {
    const line = lineOf(block, at, Math.min(at + LINE_BYTES, end));
    const isLast = at + LINE_BYTES >= end;
    if (line === previous && !isLast) {
      if (!starred) yield '*\n';
      starred = true;
      continue;
    }
    yield `${address(blockId, at)}  ${line}${at === start ? `  ${label}` : ''}`.trimEnd() + '\n';
    previous = line;
    starred = false;
  }
}

function address(blockId: number, offset: number): string {
  return fileOffset(blockId, offset).toString(16).padStart(10, '0');
}

function lineOf(block: Uint8Array, start: number, end: number): string {
  let bytes = '';
  let characters = '';
  for (let at = start; at < end; at++) {
    const byte = block[at] as number; // end is within the block
    bytes += `${byte.toString(16).padStart(2, '0')} `;
    characters += byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '.';
  }
  return `${bytes.padEnd(3 * LINE_BYTES)} ${`|${characters}|`.padEnd(LINE_BYTES + 2)}`;
}
