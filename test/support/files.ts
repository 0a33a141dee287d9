import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, expect } from 'vitest';
import { FILE_ID } from '../../src/format/file-id.ts';
import { FILE_ID_OFFSET } from '../../src/format/layout.ts';

export const FIXTURES = new URL('../../fixtures/', import.meta.url).pathname;
export const GOLDEN = join(FIXTURES, 'golden');

/** The page files that libdictenstein wrote. */
export const GOLDEN_NAMES = ['empty', 'v1', 'v2', 'v2-unfinalized', 'arenas', 'stale-header'] as const;
export type GoldenName = (typeof GOLDEN_NAMES)[number];

export const goldenPath = (name: GoldenName): string => join(GOLDEN, `${name}.part`);
export const goldenBytes = (name: GoldenName): Uint8Array => new Uint8Array(readFileSync(goldenPath(name)));

/** The nodes of a golden file as a third program read them: `block:slot` and bytes in hex. */
export function goldenNodes(name: GoldenName): { ref: string; hex: string }[] {
  const path = join(GOLDEN, `${name}.nodes`);
  const text = name === 'arenas' ? gunzipSync(readFileSync(`${path}.gz`)).toString() : readFileSync(path, 'utf8');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [ref = '', hex = ''] = line.split(' ');
      return { ref, hex };
    });
}

/** A folder that is removed when the tests of the file have run. */
export function temporaryFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'artrie-pages-'));
  afterAll(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

/** Expects two rows of bytes to be the same. For files: `toEqual` takes seconds for a block or two. */
export function expectSameBytes(found: Uint8Array, expected: Uint8Array): void {
  expect({ bytes: found.length, isSame: Buffer.compare(found, expected) === 0 }).toEqual({
    bytes: expected.length,
    isSame: true,
  });
}

/** A page file without its id, which is random. */
export function withoutFileId(bytes: Uint8Array): Uint8Array {
  return bytes.slice().fill(0, FILE_ID_OFFSET, FILE_ID_OFFSET + FILE_ID.bytes);
}
