import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Course } from '../course.ts';
import { makeWorkload } from '../workload.ts';

export interface LinesFile {
  readonly path: string;
  readonly text: Buffer;
}

const LETTERS = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');

const WRITTEN = new WeakMap<Course, LinesFile>();

/** The nodes as lines of text, of the same lengths, in letters that nobody has to quote. It is written when first asked for. */
export function linesFile(course: Course): LinesFile {
  const written = WRITTEN.get(course);
  if (written !== undefined) return written;
  const { bytes, starts, count, payloadBytes } = makeWorkload(course.settings.nodes);
  const text = Buffer.alloc(payloadBytes + count);
  let to = 0;
  for (let node = 0; node < count; node++) {
    const end = starts[node + 1]!;
    for (let at = starts[node]!; at < end; at++) text[to++] = LETTERS[bytes[at]! & 63]!;
    text[to++] = 10;
  }
  const path = join(course.folder(), 'lines');
  writeFileSync(path, text);
  const made: LinesFile = { path, text };
  WRITTEN.set(course, made);
  return made;
}
