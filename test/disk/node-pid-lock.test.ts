import { readFileSync, readlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { setImmediate, setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { takeWriterLock, type WriterLock } from '../../src/disk/node-lock.ts';
import { lockPaths } from '../../src/disk/node-lock-holder.ts';
import { loadNativeLocking } from '../../src/disk/node-lock.ts';
import { breakPidLock } from '../../src/disk/node-lock.ts';
import { publicCopy } from '../support/cli.ts';
import { killHoldersAfterEach, lockFolder, noModule, startHolder, textOf } from '../support/lock.ts';

killHoldersAfterEach();
const { newFile, newPageFile, namesBeside } = lockFolder();
/** It has no node_modules, and so no fs-native-extensions. */
const bin = publicCopy();

const BOOT = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim();
const since = '2026-01-02T03:04:05.678Z';
/** This process, with another start time. */
const ENDED = { pid: process.pid, startTime: `1@${BOOT}`, host: hostname(), since, program: 'test' };

/** Lets a process end without releasing its lock. @returns the file */
async function leftLock(): Promise<{ path: string; pid: number }> {
  const path = await newPageFile();
  const holder = await startHolder(path, bin);
  holder.kill('SIGKILL');
  await holder.ended;
  return { path, pid: holder.pid };
}

function forged(holder: object): string {
  const path = newFile();
  writeFileSync(`${path}.lock.pid`, JSON.stringify(holder));
  return path;
}

describe('the lock file with a process id', () => {
  test('exists while it is held, and not afterwards', async () => {
    const path = newFile();
    const lock = await takeWriterLock(path, {}, noModule);
    expect(namesBeside(path)).toEqual(['file', 'file.lock.pid']);
    await lock.release();
    expect(namesBeside(path)).toEqual(['file']);
  });

  test('is complete whenever it exists', async () => {
    const path = newFile();
    const seen = new Set<string>();
    const writing = (async () => {
      for (let round = 0; round < 200; round++) await (await takeWriterLock(path, {}, noModule)).release();
      return 'over' as const;
    })();
    while ((await Promise.race([writing, setImmediate('going on')])) !== 'over') {
      try {
        seen.add(readFileSync(`${path}.lock.pid`, 'utf8'));
      } catch (error) {
        expect(error).toMatchObject({ code: 'ENOENT' });
      }
    }
    expect(seen.size).toBeGreaterThan(0);
    for (const content of seen) expect(JSON.parse(content)).toMatchObject({ pid: process.pid, host: hostname() });
  });

  test('that another writer took after it was deleted by hand is not removed with the first', async () => {
    const path = newFile();
    const first = await takeWriterLock(path, {}, noModule);
    unlinkSync(`${path}.lock.pid`);
    const second = await takeWriterLock(path, {}, noModule);
    const content = textOf(`${path}.lock.pid`).replace('artrie-pages', 'another');
    writeFileSync(`${path}.lock.pid`, content);
    await first.release();
    await second.release();
    expect(textOf(`${path}.lock.pid`)).toBe(content);
  });
});

describe('the lock file of a holder that has ended', () => {
  test('stays, is reported at once with its holder, and is removed on request', async () => {
    const { path, pid } = await leftLock();
    const left = textOf(`${path}.lock.pid`);
    for (const load of [noModule, loadNativeLocking]) {
      const start = performance.now();
      const error: unknown = await takeWriterLock(path, { lockTimeout: 20 }, load).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'FILE_LOCKED', detail: { holder: 'gone' } });
      expect((error as Error).message).toContain(
        `left its lock ${path}.lock.pid: process ${pid} on host ${hostname()}`,
      );
      expect(performance.now() - start).toBeLessThan(10_000);
      expect(textOf(`${path}.lock.pid`)).toBe(left);
      expect(textOf(`${path}.lock`)).toBe('');
    }
    const lock = await takeWriterLock(path, { breakLock: true }, noModule);
    expect(textOf(`${path}.lock.pid`)).toContain(`"pid":${process.pid},`);
    await lock.release();
    expect(namesBeside(path)).toEqual(['file', 'file.part', 'file.part.lock']);
  });

  test('is also removed by a writer with the native lock', async () => {
    const { path } = await leftLock();
    await (await takeWriterLock(path, { breakLock: true })).release();
    expect(namesBeside(path)).toEqual(['file', 'file.part', 'file.part.lock']);
  });

  test('is recognized by the start time of its process, although another has its id now', async () => {
    const path = forged(ENDED);
    await expect(takeWriterLock(path, {}, noModule)).rejects.toMatchObject({ detail: { holder: 'gone' } });
    await (await takeWriterLock(path, { breakLock: true }, noModule)).release();
  });

  test('is recognized by a reboot since its process started', async () => {
    const path = forged({ ...ENDED, startTime: '1@another-boot', pidNamespace: 'pid:[1]' });
    await (await takeWriterLock(path, { breakLock: true }, noModule)).release();
  });

  test('is not removed while another process removes it, which the error says', async () => {
    const path = forged(ENDED);
    const guard = `${path}.lock.pid.${process.pid}-1.gone`;
    writeFileSync(guard, 'x');
    await expect(takeWriterLock(path, { breakLock: true }, noModule)).rejects.toThrow(`delete ${guard}`);
    expect(namesBeside(path)).toEqual(['file', 'file.lock.pid', `file.lock.pid.${process.pid}-1.gone`]);
  });

  test('is left alone by a late process if another writer has the lock already', async () => {
    const path = forged(ENDED);
    const left = textOf(`${path}.lock.pid`);
    const faster = await takeWriterLock(path, { breakLock: true }, noModule);
    const held = textOf(`${path}.lock.pid`);
    await breakPidLock(await lockPaths(path), left, ENDED);
    expect(textOf(`${path}.lock.pid`)).toBe(held);
    expect(namesBeside(path)).toEqual(['file', 'file.lock.pid']);
    await faster.release();
    await breakPidLock(await lockPaths(path), left, ENDED);
    expect(namesBeside(path)).toEqual(['file']);
  });

  test('is removed once if many try, and one of them gets the lock', async () => {
    for (let round = 0; round < 40; round++) {
      const path = forged(ENDED);
      const loads = Array.from({ length: 8 }, (_, index) => async () => {
        // Some start while others have already begun.
        await setTimeout(Math.random() * 4);
        return round % 2 > 0 && index % 2 > 0 ? loadNativeLocking() : undefined;
      });
      const results = await Promise.allSettled(loads.map((load) => takeWriterLock(path, { breakLock: true }, load)));
      const had = results.filter(
        (result): result is PromiseFulfilledResult<WriterLock> => result.status === 'fulfilled',
      );
      // With both kinds, each may yield to the other; two must never have the lock.
      expect(had.length).toBeLessThanOrEqual(1);
      if (round % 2 === 0) expect(had.length).toBe(1);
      for (const result of results) {
        if (result.status === 'rejected') expect(result.reason).toMatchObject({ code: 'FILE_LOCKED' });
      }
      for (const { value } of had) await value.release();
      expect(namesBeside(path).filter((name) => name !== 'file.lock')).toEqual(['file']);
    }
  });
});

describe('a lock file whose holder may be running is not removed', () => {
  test('that of a stopped process', async () => {
    const path = await newPageFile();
    const holder = await startHolder(path, bin);
    holder.kill('SIGSTOP');
    for (const load of [noModule, loadNativeLocking]) {
      const taking = takeWriterLock(path, { breakLock: true, lockTimeout: 0.2 }, load);
      await expect(taking).rejects.toMatchObject({ code: 'FILE_LOCKED', detail: { holder: 'running' } });
    }
    holder.kill('SIGCONT');
    expect(await holder.finish()).toBe(0);
    await (await takeWriterLock(path, {}, noModule)).release();
  });

  const namespace = readlinkSync('/proc/self/ns/pid');
  test.each([
    [
      'that of another host',
      { ...ENDED, host: 'elsewhere' },
      'process \\d+ on host elsewhere, since 2026-01-02T03:04:05Z;',
    ],
    ['that of another container', { ...ENDED, pidNamespace: 'pid:[1]' }, 'process \\d+ on host'],
    ['that of an unknown holder', {}, 'does not say who'],
  ])('%s, and the error says what to delete by hand', async (_, holder, who) => {
    const path = forged(holder);
    const before = textOf(`${path}.lock.pid`);
    expect(before).not.toContain(namespace);
    for (const load of [noModule, loadNativeLocking]) {
      const error: unknown = await takeWriterLock(path, { breakLock: true }, load).catch((reason: unknown) => reason);
      expect(error).toMatchObject({ code: 'FILE_LOCKED', detail: { holder: 'unknown' } });
      expect((error as Error).message).toMatch(new RegExp(`${who}.*delete \\S+\\.lock\\.pid$`));
    }
    expect(textOf(`${path}.lock.pid`)).toBe(before);
  });

  test('that of a process whose start time is unknown', async () => {
    const path = forged({ ...ENDED, startTime: undefined });
    const taking = takeWriterLock(path, { breakLock: true }, noModule);
    await expect(taking).rejects.toMatchObject({ detail: { holder: 'running' } });
  });
});
