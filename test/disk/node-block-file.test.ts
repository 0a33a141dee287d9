import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { MemoryJournal } from '../../src/disk/block-file.ts';
import { DiskManager } from '../../src/disk/disk-manager.ts';
import { NodeBlockFile, openBlockFile } from '../../src/disk/node-block-file.ts';
import type { Handle } from '../../src/disk/node-block-file.ts';
import type { BlockFile } from '../../src/disk/block-file.ts';
import { createBlockFile } from '../../src/disk/node-create.ts';
import { PageStoreError } from '../../src/errors.ts';
import { FILE_START_BYTES, newDigest, writeDigest } from '../../src/format/digest.ts';
import { encodeFileHeader, newFileHeader } from '../../src/format/file-header.ts';
import { BLOCK_BYTES, fileOffset } from '../../src/format/layout.ts';
import { temporaryFolder } from '../support/files.ts';
import { text } from '../support/nodes.ts';

const folder = temporaryFolder();

/** A handle that reads and writes three bytes at a time, as systems may. */
function shortHandle(handle: Awaited<ReturnType<typeof open>>): Handle {
  return {
    stat: () => handle.stat(),
    truncate: (bytes) => handle.truncate(bytes),
    datasync: () => handle.datasync(),
    close: () => handle.close(),
    read: (target, offset, length, position) => handle.read(target, offset, Math.min(3, length), position),
    write: (source, offset, length, position) => handle.write(source, offset, Math.min(3, length), position),
  };
}

describe('a block file over a file handle', () => {
  test('reads and writes everything, even if the system does so in small parts', async () => {
    const file = new NodeBlockFile('short', shortHandle(await open(join(folder, 'short'), 'w+')), new MemoryJournal());
    const bytes = Uint8Array.from({ length: 1000 }, (_, index) => index % 251);
    await file.write(bytes, 5);
    const target = new Uint8Array(1000);
    expect(await file.read(target, 5)).toBe(1000);
    expect(target).toEqual(bytes);
    expect(await file.read(target, 900)).toBe(105);
    await file.close();
  });

  test('reports an error if the system accepts no byte and reports none, and does not loop forever', async () => {
    const handle = await open(join(folder, 'stuck'), 'w+');
    const stuck = { ...shortHandle(handle), write: async () => ({ bytesWritten: 0 }) };
    const file = new NodeBlockFile('stuck', stuck, new MemoryJournal());
    await expect(file.write(text('x'), 0)).rejects.toMatchObject({ code: 'IO' });
    await file.close();
  });

  test('reads and writes a block at 3 TiB of a sparse file, through the disk manager', async () => {
    const path = join(folder, 'sparse');
    const block = (3 * 2 ** 40) / BLOCK_BYTES;
    const file = await createBlockFile(path, false, async (created) => {
      await created.truncate(fileOffset(block + 1));
      // With a digest, or the first commit would read the beginning of every block.
      const start = new Uint8Array(FILE_START_BYTES);
      start.set(encodeFileHeader(newFileHeader(block + 1)));
      writeDigest(newDigest(), start);
      await created.write(start, 0);
    });
    const disk = await DiskManager.open(file, 'write');
    expect(disk.blockCount).toBe(12_582_913);
    const written = new Uint8Array(BLOCK_BYTES).fill(0xa5);
    await disk.write(block, written);
    await disk.commit({});
    const read = new Uint8Array(BLOCK_BYTES);
    await disk.read(block, read);
    expect(Buffer.compare(read, written)).toBe(0);
    await disk.read(block - 1, read);
    expect(read.every((byte) => byte === 0)).toBe(true);
    await disk.close();
    const stats = statSync(path);
    expect(stats.size).toBe(3 * 2 ** 40 + BLOCK_BYTES);
    expect(stats.blocks * 512).toBeLessThan(2 ** 21);
  });

  test('is shown in one line', async () => {
    const path = join(folder, 'shown');
    const file = await createBlockFile(path, false, async () => undefined);
    expect(inspect(file)).toBe(`NodeBlockFile { '${path}', locked }`);
    await file.close();
    const reader = await openBlockFile(path, 'read');
    expect(inspect(reader)).toBe(`NodeBlockFile { '${path}' }`);
    await reader.close();
  });

  test.each([
    ['no file', 'nothing-here', 'IO', 'ENOENT'],
    ['a path through a file', 'short/below', 'IO', 'ENOTDIR'],
  ])('%s is refused with the errno of the system', async (_, name, code, errno) => {
    await expect(openBlockFile(join(folder, name), 'read')).rejects.toMatchObject({ code, detail: { errno } });
  });

  test('a directory and a pipe are not page files, and opening them does not wait', async () => {
    await expect(openBlockFile(folder, 'read')).rejects.toMatchObject({ code: 'NOT_A_PAGE_FILE' });
    await expect(openBlockFile('/dev/null', 'read')).rejects.toMatchObject({ code: 'NOT_A_PAGE_FILE' });
  });
});

describe('creating a file', () => {
  const fill = (bytes: string) => async (file: { write(source: Uint8Array, position: number): Promise<void> }) =>
    file.write(text(bytes), 0);

  test('refuses an existing one and does not change it', async () => {
    const path = join(folder, 'exists');
    writeFileSync(path, 'old');
    await expect(createBlockFile(path, false, fill('new'))).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  test('that fails leaves nothing but the file that it would have replaced', async () => {
    const below = join(folder, 'failing');
    mkdirSync(below);
    const path = join(below, 'file');
    writeFileSync(path, 'old');
    const failing = async (): Promise<void> => {
      throw new PageStoreError('IO', 'no space', { errno: 'ENOSPC' });
    };
    await expect(createBlockFile(join(below, 'other'), false, failing)).rejects.toMatchObject({ code: 'IO' });
    await expect(createBlockFile(path, true, failing)).rejects.toMatchObject({ code: 'IO' });
    expect(readdirSync(below)).toEqual(['file']);
    expect(readFileSync(path, 'utf8')).toBe('old');
  });

  test('that replaces another follows a symbolic link to it', async () => {
    const [path, link] = [join(folder, 'target'), join(folder, 'link')];
    writeFileSync(path, 'old');
    symlinkSync(path, link);
    await (await createBlockFile(link, true, fill('new'))).close();
    expect(readFileSync(path, 'utf8')).toBe('new');
  });

  test('in a directory that does not exist is a system error', async () => {
    const path = join(folder, 'no-folder', 'file');
    await expect(createBlockFile(path, false, fill('x'))).rejects.toMatchObject({ detail: { errno: 'ENOENT' } });
    expect(existsSync(path)).toBe(false);
    chmodSync(folder, 0o755);
  });
});

describe('a full disk', () => {
  const full = async (): Promise<never> => {
    throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' });
  };
  const handle: Handle = { stat: full, read: full, write: full, truncate: full, datasync: full, close: full };
  const message = async (file: BlockFile): Promise<string> =>
    file.write(text('x'), 0).then(
      () => '',
      (error: unknown) => (error as Error).message,
    );

  test('is reported with the note that nothing is lost, for files with commits only', async () => {
    const journal = new MemoryJournal();
    const made = new NodeBlockFile('made', handle, journal);
    expect(await message(made)).toBe('write at byte 0: no space left on the device (ENOSPC)');
    const kept = new NodeBlockFile('kept', handle, journal, undefined, true);
    expect(await message(kept)).toBe(
      'write at byte 0: no space left on the device; nothing that was acknowledged is lost (ENOSPC)',
    );
  });

  test('may affect commits of a file that was opened for writing, and of a new one once it has its name', async () => {
    const path = join(folder, 'full-disk');
    const states: boolean[] = [];
    const noted = (file: BlockFile): void => void states.push((file as NodeBlockFile).hasCommits);
    const file = await createBlockFile(path, false, async (filled) => noted(filled));
    noted(file);
    await file.close();
    for (const access of ['read', 'write'] as const) {
      const opened = await openBlockFile(path, access);
      noted(opened);
      await opened.close();
    }
    expect(states).toEqual([false, true, false, true]);
  });
});
