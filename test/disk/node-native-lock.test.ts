import { chmodSync, existsSync, renameSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { takeWriterLock } from '../../src/disk/node-lock.ts';
import { loadNativeLocking } from '../../src/disk/node-lock.ts';
import { killHoldersAfterEach, lockFolder, noModule, startHolder, textOf } from '../support/lock.ts';

killHoldersAfterEach();
const { newFile, newPageFile, namesBeside } = lockFolder();

describe('the native lock', () => {
  test('leaves an empty file, which the next writer uses', async () => {
    const path = newFile();
    await (await takeWriterLock(path)).release();
    const first = statSync(`${path}.lock`);
    expect(first.size).toBe(0);
    await (await takeWriterLock(path)).release();
    expect(statSync(`${path}.lock`).ino).toBe(first.ino);
    expect(namesBeside(path)).toEqual(['file', 'file.lock']);
  });

  test('is released at once when its holder is killed', async () => {
    const path = await newPageFile();
    const holder = await startHolder(path);
    await expect(takeWriterLock(path)).rejects.toThrow(`process ${holder.pid} on host`);
    holder.kill('SIGKILL');
    await holder.ended;
    expect(textOf(`${path}.lock`)).toContain(`"pid":${holder.pid},`);
    await (await takeWriterLock(path)).release();
  });

  test('is kept by a stopped holder', async () => {
    const path = await newPageFile();
    const holder = await startHolder(path);
    holder.kill('SIGSTOP');
    const waiting = takeWriterLock(path, { lockTimeout: 0.5, breakLock: true });
    await expect(waiting).rejects.toThrow(`process ${holder.pid} on host`);
    holder.kill('SIGCONT');
    expect(await holder.finish()).toBe(0);
    await (await takeWriterLock(path)).release();
  });

  test.each([
    ['nothing', ''],
    ['half a line', '{"pid":123,"host":"na'],
    ['garbage', '\0\u{1}garbage'],
    ['JSON of another kind', '[1]'],
    ['a pid that is none', JSON.stringify({ pid: -1, host: 'name', since: '2026-01-01T00:00:00Z' })],
    ['more lines than one', JSON.stringify({ pid: 1, host: 'a\nb', since: '2026-01-01T00:00:00Z' })],
  ])('works with a file that contains %s', async (_, content) => {
    const path = newFile();
    writeFileSync(`${path}.lock`, content);
    const lock = await takeWriterLock(path);
    writeFileSync(`${path}.lock`, content);
    await expect(takeWriterLock(path)).rejects.toThrow(`another writer holds the lock: ${path}.lock does not say who`);
    await lock.release();
  });

  test('does not write to another kind of file with its name', async () => {
    const path = newFile();
    writeFileSync(`${path}.lock`, 'x'.repeat(5000));
    const expected = { code: 'IO', detail: { file: `${path}.lock` } };
    await expect(takeWriterLock(path)).rejects.toMatchObject(expected);
    expect(textOf(`${path}.lock`)).toBe('x'.repeat(5000));
  });

  test('does not follow a symbolic link with its name', async () => {
    const path = newFile();
    symlinkSync(path, `${path}.lock`);
    await expect(takeWriterLock(path)).rejects.toMatchObject({ code: 'IO', detail: { errno: 'ELOOP' } });
    expect(textOf(path)).toBe('content');
  });

  test.each([0o600, 0o660, 0o666])('can be taken by all users who may write the file: mode %o', async (mode) => {
    const path = newFile();
    chmodSync(path, mode);
    await (await takeWriterLock(path)).release();
    expect(statSync(`${path}.lock`).mode & 0o777).toBe(mode);
  });

  test('is on the file that has the name, even if another process deletes it just then', async () => {
    const path = newFile();
    const native = await loadNativeLocking();
    expect(native).toBeDefined();
    let deleted = false;
    const lock = await takeWriterLock(path, {}, async () => ({
      ...native!,
      tryLock: (fd, offset, length) => {
        if (!deleted) renameSync(`${path}.lock`, `${path}.away`);
        deleted = true;
        return native!.tryLock(fd, offset, length);
      },
    }));
    await expect(takeWriterLock(path)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
    await lock.release();
  });

  test('is replaced by the lock file with a process id where the file system has no locks', async () => {
    const path = newFile();
    const fail = (): never => {
      throw Object.assign(new Error('no locks available'), { code: 'ENOLCK' });
    };
    const lock = await takeWriterLock(path, {}, async () => ({ tryLock: fail, unlock: fail }));
    expect(textOf(`${path}.lock.pid`)).toContain(`"pid":${process.pid},`);
    await lock.release();
    expect(existsSync(`${path}.lock.pid`)).toBe(false);
  });

  describe('that a command does not need in the end', () => {
    test('leaves no file where it was new, and the one of an existing page file stays', async () => {
      const path = newFile();
      await (await takeWriterLock(path)).release(true);
      expect(namesBeside(path)).toEqual(['file']);
      await (await takeWriterLock(path)).release();
      await (await takeWriterLock(path)).release(true);
      expect(namesBeside(path)).toEqual(['file', 'file.lock']);
    });

    test('removes what a killed command has left without a page file', async () => {
      const path = newFile();
      writeFileSync(`${path}-none.lock`, '');
      await (await takeWriterLock(`${path}-none`)).release(true);
      expect(namesBeside(path)).toEqual(['file']);
    });

    test('leaves a lock file that another process has made since it was deleted', async () => {
      const path = newFile();
      const lock = await takeWriterLock(`${path}-none`);
      renameSync(`${path}-none.lock`, `${path}.away`);
      const other = await takeWriterLock(`${path}-none`);
      await lock.release(true);
      await expect(takeWriterLock(`${path}-none`)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
      await other.release();
    });

    test('is had by one writer at a time, while some give up and others wait', async () => {
      const path = `${newFile()}-none`;
      let [holders, most, times] = [0, 0, 0];
      const writer = async (): Promise<void> => {
        for (let round = 0; round < 5; round++) {
          const lock = await takeWriterLock(path, { lockTimeout: 60 });
          most = Math.max(most, ++holders);
          times++;
          await setImmediate();
          holders--;
          await lock.release(round % 2 === 0);
        }
      };
      await Promise.all([writer(), writer(), writer(), writer()]);
      expect({ most, times }).toEqual({ most: 1, times: 20 });
    });
  });

  test('that fails for another reason is an error that names its file', async () => {
    const path = newFile();
    const fail = (): never => {
      throw Object.assign(new Error('bad descriptor'), { code: 'EIO' });
    };
    const locking = takeWriterLock(path, {}, async () => ({ tryLock: fail, unlock: fail }));
    await expect(locking).rejects.toMatchObject({ code: 'IO', detail: { file: `${path}.lock`, errno: 'EIO' } });
    await (await takeWriterLock(path)).release();
  });
});

describe('writers with and without fs-native-extensions', () => {
  test('one with it excludes one without it', async () => {
    const path = newFile();
    const lock = await takeWriterLock(path);
    const taking = takeWriterLock(path, { breakLock: true }, noModule);
    await expect(taking).rejects.toMatchObject({ code: 'FILE_LOCKED', detail: { holder: 'running' } });
    expect(namesBeside(path)).toEqual(['file', 'file.lock']);
    await lock.release();
    await (await takeWriterLock(path, {}, noModule)).release();
  });

  test('one without it excludes one with it, which leaves no text', async () => {
    const path = newFile();
    const lock = await takeWriterLock(path, {}, noModule);
    await expect(takeWriterLock(path)).rejects.toMatchObject({ code: 'FILE_LOCKED', detail: { holder: 'running' } });
    expect(textOf(`${path}.lock`)).toBe('');
    await lock.release();
    await (await takeWriterLock(path)).release();
  });

  test('what a killed one with it left excludes no other', async () => {
    const path = await newPageFile();
    const holder = await startHolder(path);
    holder.kill('SIGKILL');
    await holder.ended;
    expect(textOf(`${path}.lock`)).not.toBe('');
    await (await takeWriterLock(path, {}, noModule)).release();
  });

  test('what one with it wrote on another host excludes one without it', async () => {
    const path = newFile();
    writeFileSync(`${path}.lock`, JSON.stringify({ pid: 1, host: 'elsewhere', since: '2026-01-02T03:04:05Z' }));
    await expect(takeWriterLock(path, {}, noModule)).rejects.toThrow(`delete ${path}.lock`);
    expect(namesBeside(path)).toEqual(['file', 'file.lock']);
  });

  test('never have it at the same time, and each gets it in the end', async () => {
    const path = newFile();
    let inside = 0;
    const one = async (index: number): Promise<void> => {
      for (let round = 0; round < 6; round++) {
        const load = index % 2 === 0 ? noModule : loadNativeLocking;
        const lock = await takeWriterLock(path, { lockTimeout: 50 }, load);
        expect(++inside).toBe(1);
        await setImmediate();
        inside--;
        await lock.release();
      }
    };
    await Promise.all(Array.from({ length: 8 }, (_, index) => one(index)));
    expect(namesBeside(path)).toEqual(['file', 'file.lock']);
  });
});
