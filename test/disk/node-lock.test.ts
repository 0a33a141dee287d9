import { mkdirSync, symlinkSync, truncateSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { MemoryJournal } from '../../src/disk/block-file.ts';
import { NodeBlockFile, openBlockFile } from '../../src/disk/node-block-file.ts';
import type { Handle } from '../../src/disk/node-block-file.ts';
import { createBlockFile } from '../../src/disk/node-create.ts';
import { takeWriterLock } from '../../src/disk/node-lock.ts';
import { loadNativeLocking } from '../../src/disk/node-lock.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { lockFolder, noModule, textOf } from '../support/lock.ts';
import { text } from '../support/nodes.ts';

const { newFile, newPageFile, namesBeside } = lockFolder();

describe.each([
  ['the native lock', loadNativeLocking],
  ['the lock file with a process id', noModule],
])('%s', (_, load) => {
  test('excludes a second writer of the same process, and names its holder, until it is released', async () => {
    const path = newFile();
    const before = Date.now();
    const first = await takeWriterLock(path, {}, load);
    const error: unknown = await takeWriterLock(path, {}, load).catch((reason: unknown) => reason);
    expect(error).toMatchObject({ code: 'FILE_LOCKED', detail: { file: path, holder: 'running' } });
    const [, pid, host, since] =
      /^another writer holds the lock: process (\d+) on host (\S+), since (\S+)$/.exec((error as Error).message) ?? [];
    expect({ pid, host }).toEqual({ pid: String(process.pid), host: hostname() });
    expect(Math.abs(Date.parse(since ?? '') - before)).toBeLessThan(5000);
    await first.release();
    await (await takeWriterLock(path, {}, load)).release();
  });

  test('is one lock for all paths that lead to the file', async () => {
    const path = newFile();
    symlinkSync(path, `${path}-link`);
    symlinkSync(join(path, '..'), join(path, '..', 'folder'));
    const lock = await takeWriterLock(`${path}-link`, {}, load);
    for (const other of [path, join(path, '..', 'folder', 'file')]) {
      await expect(takeWriterLock(other, {}, load)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
    }
    await lock.release();
  });

  test('is one lock for all paths that lead to a file that does not exist yet', async () => {
    const path = `${newFile()}-new`;
    symlinkSync(join(path, '..'), join(path, '..', 'folder'));
    const lock = await takeWriterLock(path, {}, load);
    const other = join(path, '..', 'folder', 'file-new');
    await expect(takeWriterLock(other, {}, load)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
    await lock.release();
  });

  test('is taken by a waiting writer once it is released', async () => {
    const path = newFile();
    const first = await takeWriterLock(path, {}, load);
    let released = false;
    const second = takeWriterLock(path, { lockTimeout: 30 }, load).then((lock) => {
      expect(released).toBe(true);
      return lock;
    });
    await setTimeout(120);
    released = true;
    await first.release();
    await (await second).release();
  });

  test('is waited for until the timeout, and no longer', async () => {
    const path = newFile();
    const lock = await takeWriterLock(path, {}, load);
    const start = performance.now();
    await expect(takeWriterLock(path, { lockTimeout: 0.25 }, load)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
    const waited = performance.now() - start;
    expect(waited).toBeGreaterThanOrEqual(249);
    expect(waited).toBeLessThan(2000);
    await lock.release();
  });

  test('is not waited for after the signal is aborted, and others can take it', async () => {
    const path = newFile();
    const lock = await takeWriterLock(path, {}, load);
    const abort = new AbortController();
    const waiting = takeWriterLock(path, { lockTimeout: Infinity, lockSignal: abort.signal }, load);
    const reason = new Error('enough');
    void setTimeout(60).then(() => abort.abort(reason));
    await expect(waiting).rejects.toBe(reason);
    await lock.release();
    await (await takeWriterLock(path, {}, load)).release();
  });

  test('tells of the waiting before each pause, and what that throws ends it', async () => {
    const path = newFile();
    const lock = await takeWriterLock(path, {}, load);
    const waits: number[] = [];
    const enough = new Error('enough');
    const onLockWait = ({ code }: { readonly code: string }, seconds: number): void => {
      expect(code).toBe('FILE_LOCKED');
      if (waits.push(seconds) === 3) throw enough;
    };
    await expect(takeWriterLock(path, { onLockWait }, load)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
    expect(waits).toEqual([]);
    await expect(takeWriterLock(path, { lockTimeout: Infinity, onLockWait }, load)).rejects.toBe(enough);
    expect(waits).toEqual(waits.toSorted((a, b) => a - b));
    await lock.release();
    await (await takeWriterLock(path, { onLockWait }, load)).release();
    expect(waits).toHaveLength(3);
  });

  test('refuses a timeout that is not a number of seconds', async () => {
    const path = newFile();
    for (const lockTimeout of [-1, NaN]) {
      await expect(takeWriterLock(path, { lockTimeout }, load)).rejects.toThrow(RangeError);
    }
    expect(namesBeside(path)).toEqual(['file']);
  });

  test('that cannot be created is an error that names the lock file', async () => {
    const path = newFile();
    const name = load === noModule ? `${path}.lock.pid` : `${path}.lock`;
    mkdirSync(name);
    await expect(takeWriterLock(path, {}, load)).rejects.toMatchObject({ code: 'IO', detail: { file: name } });
  });

  test('of a running holder is not broken', async () => {
    const path = newFile();
    const holder = await takeWriterLock(path, {}, load);
    await expect(takeWriterLock(path, { breakLock: true }, load)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
    await holder.release();
  });
});

describe('files', () => {
  test('opened for reading take no lock, leave no lock file, and do not wait for a writer', async () => {
    const path = newFile();
    await (await openBlockFile(path, 'read')).close();
    expect(namesBeside(path)).toEqual(['file']);
    const writer = await openBlockFile(path, 'write');
    const locked = textOf(`${path}.lock`);
    const reader = await openBlockFile(path, 'read');
    expect(await reader.size()).toBe(7);
    await reader.close();
    expect(textOf(`${path}.lock`)).toBe(locked);
    await expect(openBlockFile(path, 'write')).rejects.toMatchObject({ code: 'FILE_LOCKED' });
    await writer.close();
    await (await openBlockFile(path, 'write')).close();
  });

  test('release their lock when closing them fails, and only once', async () => {
    let released = 0;
    const handle = { close: () => Promise.reject(new Error('no')) } as unknown as Handle;
    const file = new NodeBlockFile('file', handle, new MemoryJournal(), {
      release: async () => {
        released++;
      },
    });
    for (let times = 0; times < 2; times++) await expect(file.close()).rejects.toMatchObject({ code: 'IO' });
    expect(released).toBe(1);
  });

  test('replaced while a writer waits for the lock are opened as they are afterwards', async () => {
    const path = newFile();
    let opening: Promise<Awaited<ReturnType<typeof openBlockFile>>> | undefined;
    const created = await createBlockFile(path, true, async (file) => {
      opening = openBlockFile(path, 'write', { lockTimeout: 30 });
      await setTimeout(100);
      await file.write(text('new'), 0);
    });
    await created.close();
    const target = new Uint8Array(3);
    const opened = await opening;
    await opened?.read(target, 0);
    expect(target).toEqual(text('new'));
    await opened?.close();
  });

  test('are not opened after the signal is aborted, whose reason is the error', async () => {
    const path = newFile();
    const writer = await openBlockFile(path, 'write');
    const reason = new Error('enough');
    const lockSignal = AbortSignal.abort(reason);
    await expect(openBlockFile(path, 'write', { lockTimeout: 30, lockSignal })).rejects.toBe(reason);
    await writer.close();
  });

  test('being created keep the lock until they are closed', async () => {
    const path = newFile();
    const created = await createBlockFile(`${path}-new`, false, async () => undefined);
    await expect(openBlockFile(`${path}-new`, 'write')).rejects.toMatchObject({ code: 'FILE_LOCKED' });
    await created.close();
    await (await openBlockFile(`${path}-new`, 'write')).close();
  });

  test('opened by a writer cannot be replaced', async () => {
    const path = newFile();
    const writer = await openBlockFile(path, 'write');
    const replacing = createBlockFile(path, true, (file) => file.write(text('new'), 0));
    await expect(replacing).rejects.toMatchObject({ code: 'FILE_LOCKED' });
    expect(textOf(path)).toBe('content');
    await writer.close();
    expect(namesBeside(path)).toEqual(['file', 'file.lock']);
  });

  test('refused before they are locked get no lock file', async () => {
    const path = newFile();
    const fill = async (): Promise<void> => undefined;
    await expect(createBlockFile(path, false, fill)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    await expect(createBlockFile(join(path, 'below'), false, fill)).rejects.toMatchObject({ code: 'IO' });
    await expect(PageStore.open(path)).rejects.toMatchObject({ code: 'NOT_A_PAGE_FILE' });
    await expect(openBlockFile(`${path}-none`, 'write')).rejects.toMatchObject({ code: 'IO' });
    expect(namesBeside(path)).toEqual(['file']);
  });

  test('refused to a writer do not stay locked', async () => {
    const path = await newPageFile();
    truncateSync(path, 393_216);
    await expect(PageStore.open(path)).rejects.toMatchObject({ code: 'FILE_SIZE' });
    await (await takeWriterLock(path)).release();
  });
});
