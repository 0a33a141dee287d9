import { truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { jsonLines, output, runInProcess } from '../support/cli.ts';
import { loadCorpus } from '../support/corpus.ts';
import { writeCorpus } from '../support/damaged/goldens.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';

const folder = temporaryFolder();

/** Five blocks after the first: a page, and others as the tests make them; block 5 is free. */
async function fileWith(name: string, change: (bytes: Uint8Array) => void): Promise<string> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat: 'v1' });
  await store.append(text('a node'));
  await store.allocate(4);
  await store.free(5);
  await store.close();
  const bytes = file.bytes.slice();
  change(bytes);
  const path = join(folder, `${name}.part`);
  writeFileSync(path, bytes);
  return path;
}

const rowsOf = async (path: string): Promise<Record<string, unknown>[]> =>
  jsonLines(await output(['dump', '--json', path])).filter(({ type }) => type === 'block');

describe('the list of blocks says what is wrong with those that are not pages', () => {
  test('bytes that are no page, zeros, a page without its magic, a lost link', async () => {
    const path = await fileWith('others', (bytes) => {
      bytes.fill(0xee, fileOffset(2), fileOffset(3));
      bytes.fill(0, fileOffset(3), fileOffset(4));
      bytes.fill(0, fileOffset(4), fileOffset(4) + 8);
      bytes.fill(0xee, fileOffset(5), fileOffset(6));
    });
    const rows = await rowsOf(path);
    expect(rows.slice(1)).toEqual([
      { type: 'block', block: 2, kind: 'unknown', problem: 'BLOCK_UNKNOWN' },
      { type: 'block', block: 3, kind: 'unwritten', problem: 'BLOCK_UNWRITTEN' },
      { type: 'block', block: 4, kind: 'unwritten', problem: 'BLOCK_UNWRITTEN' },
      { type: 'block', block: 5, kind: 'free', next: -1, problem: 'FREE_LIST_LINK' },
    ]);
    const lines = (await output(['dump', path])).trimEnd().split('\n');
    expect(lines.slice(-4).map((line) => line.replaceAll(/ +/g, ' '))).toEqual([
      ' 2 unknown BLOCK_UNKNOWN',
      ' 3 unwritten BLOCK_UNWRITTEN',
      ' 4 unwritten BLOCK_UNWRITTEN',
      ' 5 free FREE_LIST_LINK',
    ]);
  });

  test('a page with zeros in place of its magic, where the free list is whole', async () => {
    const path = await fileWith('zeroed', (bytes) => void bytes.fill(0, fileOffset(1), fileOffset(1) + 8));
    expect((await rowsOf(path))[0]).toMatchObject({ block: 1, kind: 'unwritten', problem: 'PAGE_MAGIC' });
  });

  test('a block that the file ends in', async () => {
    const path = await fileWith('cut', () => undefined);
    truncateSync(path, 4 * BLOCK_BYTES + 1000);
    expect((await rowsOf(path)).at(-1)).toEqual({ type: 'block', block: 4, kind: 'cut off', problem: 'FILE_SIZE' });
    expect(await output(['dump', path])).toMatch(/\n +4 {2}cut off +FILE_SIZE\n$/);
  });

  test('blocks after those that the file counts have no problem, but that state', async () => {
    const path = await fileWith('behind', () => undefined);
    truncateSync(path, 7 * BLOCK_BYTES + 1000);
    expect((await rowsOf(path)).slice(-2)).toEqual([
      { type: 'block', block: 6, kind: 'unwritten', state: 'uncounted' },
      { type: 'block', block: 7, kind: 'cut off', state: 'uncounted' },
    ]);
  });
});

describe('in each damaged file', () => {
  const corpus = loadCorpus().filter(({ error }) => error === undefined);
  beforeAll(() => writeCorpus(folder, corpus));

  test.each(corpus.map(({ name }) => name))('%s, verify has the same for such a block', async (name) => {
    const path = join(folder, `${name}.part`);
    const found = jsonLines((await runInProcess(['verify', '--json', path])).stdout)
      .filter(({ type }) => type === 'finding')
      .map(({ block, code }) => `${String(block)} ${String(code)}`);
    const rows = (await rowsOf(path)).filter(({ kind }) => !String(kind).endsWith('page'));
    const shown = rows.filter(({ problem }) => problem !== undefined);
    expect(found).toEqual(
      expect.arrayContaining(shown.map(({ block, problem }) => `${String(block)} ${String(problem)}`)),
    );
    const silent = rows.filter(({ problem }) => problem === undefined).map(({ block }) => `${String(block)} `);
    // A free block may be at fault because of a link elsewhere, or of a commit record.
    const errors = found.filter((line) => silent.some((start) => line.startsWith(start)));
    expect(errors.filter((line) => !/ (FREE_LIST_|FILE_SIZE|JOURNAL)/.test(line))).toEqual([]);
  });
});
