import { appendFileSync, renameSync, symlinkSync, unlinkSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test, vi } from 'vitest';
import { openPageFile } from '../../src/disk/node-block-file.ts';
import { takeWriterLock } from '../../src/disk/node-lock.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { temporaryFolder } from '../support/files.ts';

vi.mock('node:fs/promises', { spy: true });
const folder = temporaryFolder();

async function newPageFile(name: string): Promise<string> {
  const path = join(folder, name);
  await (await PageStore.create(path)).close();
  return path;
}

const countOpens = (path: string): number => vi.mocked(open).mock.calls.filter(([opened]) => opened === path).length;

test('a page file is opened once for writing', async () => {
  const path = await newPageFile('once');
  const file = await openPageFile(path, 'write');
  expect(countOpens(path)).toBe(1);
  await file.close();
});

test('a page file that is replaced before its lock is taken is opened again', async () => {
  const path = await newPageFile('replaced');
  const lock = await takeWriterLock(path);
  const opening = openPageFile(path, 'write', { lockTimeout: 30 });
  await vi.waitUntil(() => countOpens(path) === 1);
  const other = await newPageFile('replacing');
  appendFileSync(other, Buffer.alloc(BLOCK_BYTES));
  renameSync(other, path);
  await lock.release();
  const file = await opening;
  expect(await file.size()).toBe(3 * BLOCK_BYTES);
  expect(countOpens(path)).toBe(2);
  await file.close();
});

test('a symbolic link that is changed before the lock is taken leads to the lock of the new file', async () => {
  const [old, other] = [await newPageFile('old'), await newPageFile('other')];
  const link = join(folder, 'link');
  symlinkSync(old, link);
  const lock = await takeWriterLock(old);
  const before = countOpens(`${old}.lock`);
  const opening = openPageFile(link, 'write', { lockTimeout: 30 });
  await vi.waitUntil(() => countOpens(`${old}.lock`) > before);
  unlinkSync(link);
  symlinkSync(other, link);
  await lock.release();
  const file = await opening;
  await expect(takeWriterLock(other)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
  await (await takeWriterLock(old)).release();
  await file.close();
  await (await takeWriterLock(other)).release();
});
