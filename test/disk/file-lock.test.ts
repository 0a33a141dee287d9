import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { openBlockFile } from '../../src/disk/node-block-file.ts';
import { createBlockFile } from '../../src/disk/node-create.ts';
import { loadNativeLocking, LOCKED_PAGE_FILE_BYTE, takeWriterLock } from '../../src/disk/node-lock.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { runCli, publicCopy, unprivileged } from '../support/cli.ts';
import { killHoldersAfterEach, lockFolder, startHolder } from '../support/lock.ts';
import { text } from '../support/nodes.ts';

const { newPageFile, namesBeside } = lockFolder();
killHoldersAfterEach();
const copy = publicCopy();

const OTHER_NAME = 'the file is open for writing under another name';
const LOCKED = { code: 'FILE_LOCKED', detail: { holder: 'running' } };

describe('a file that is open for writing is refused to another writer', () => {
  test.each<[string, isNamed: boolean, (path: string, other: string) => void]>([
    ['under the name that it was given meanwhile', false, renameSync],
    ['under a hard link', true, linkSync],
    [
      'under the target of a link that was its name',
      true,
      (path, other) => (renameSync(path, other), symlinkSync(other, path)),
    ],
  ])('%s', async (_, isNamed, change) => {
    const path = await newPageFile();
    const other = `${path}.other`;
    const first = await PageStore.open(path);
    change(path, other);
    const names = namesBeside(path);
    await expect(PageStore.open(other)).rejects.toMatchObject(LOCKED);
    await expect(PageStore.open(other, { lockTimeout: 0.1 })).rejects.toThrow(OTHER_NAME);
    expect(namesBeside(path)).toEqual(names);
    const reader = await PageStore.open(other, { access: 'read' });
    await reader.close();
    const appended = first.append(text('one'));
    if (!isNamed) await expect(appended).rejects.toMatchObject({ code: 'FILE_REPLACED' });
    const ref = isNamed ? await appended : undefined;
    await first.close();
    const second = await PageStore.open(other);
    const next = await second.append(text('two'));
    if (ref) expect(next).toEqual({ block: ref.block, slot: ref.slot + 1 });
    await second.close();
  });

  test('through a descriptor in /proc, also after it was renamed', async () => {
    const path = await newPageFile();
    const first = await openBlockFile(path, 'write');
    const fd = openSync(path, 'r');
    await expect(openBlockFile(`/proc/self/fd/${fd}`, 'write')).rejects.toMatchObject(LOCKED);
    renameSync(path, `${path}.other`);
    await expect(openBlockFile(`/proc/self/fd/${fd}`, 'write')).rejects.toThrow(OTHER_NAME);
    await first.close();
    await (await openBlockFile(`/proc/self/fd/${fd}`, 'write')).close();
    rmSync(`${path}.other`);
    await expect(openBlockFile(`/proc/self/fd/${fd}`, 'write')).rejects.toMatchObject({ code: 'IO' });
    closeSync(fd);
  });

  test('whose lock file was deleted', async () => {
    const path = await newPageFile();
    const first = await openBlockFile(path, 'write');
    rmSync(`${path}.lock`);
    await expect(openBlockFile(path, 'write')).rejects.toThrow(`or ${path}.lock was deleted`);
    await first.close();
    await (await openBlockFile(path, 'write')).close();
  });

  test('that would put a new file in its place', async () => {
    const path = await newPageFile();
    const other = `${path}.other`;
    linkSync(path, other);
    const first = await openBlockFile(path, 'write');
    const names = namesBeside(path);
    await expect(createBlockFile(other, true, async () => undefined)).rejects.toMatchObject(LOCKED);
    expect(namesBeside(path)).toEqual(names);
    await first.close();
    await (await createBlockFile(other, true, async () => undefined)).close();
    expect(readFileSync(other)).toHaveLength(0);
  });

  test('that waits, until it is closed', async () => {
    const path = await newPageFile();
    const other = `${path}.other`;
    linkSync(path, other);
    const first = await openBlockFile(path, 'write');
    const waiting = openBlockFile(other, 'write', { lockTimeout: 30 });
    await setTimeout(60);
    await expect(openBlockFile(other, 'write')).rejects.toMatchObject(LOCKED);
    await first.close();
    await (await waiting).close();
  });

  test('while it is being created', async () => {
    const path = await newPageFile();
    const [name, other] = [`${path}.name`, `${path}.other`];
    const created = await createBlockFile(name, false, async (file) => file.write(readFileSync(path), 0));
    linkSync(name, other);
    await expect(openBlockFile(other, 'write')).rejects.toMatchObject(LOCKED);
    await created.close();
    await (await openBlockFile(other, 'write')).close();
  });
});

/** A writer takes the lock of the name first, which is all that its lock file tells; where the system lists no locks, a pause. */
async function untilFileLocked(path: string): Promise<void> {
  const lock = `:${statSync(path).ino} ${LOCKED_PAGE_FILE_BYTE} `;
  for (let times = 0; times < 40; times++) {
    if (existsSync('/proc/locks') && readFileSync('/proc/locks', 'utf8').includes(lock)) return;
    await setTimeout(50);
  }
}

test('no node is lost when a file is renamed between two processes that append', async () => {
  const path = await newPageFile();
  const other = `${path}.other`;
  const holder = await startHolder(path);
  await untilFileLocked(path);
  renameSync(path, other);
  const { exit, stdout, stderr } = await runCli(['append', other, 'via other']);
  expect({ exit, stdout: stdout.toString() }).toEqual({ exit: 4, stdout: '' });
  expect(stderr.toString()).toContain(`artrie-pages: ${other}: ${OTHER_NAME}`);
  expect(stderr.toString()).toMatch(/; wait for it with --lock-timeout SECONDS\n$/);
  holder.kill('SIGKILL');
  await holder.ended;
  expect((await runCli(['append', other, 'via other'])).exit).toBe(0);
});

test('a name that leads to another file while a writer waits gets that file, with its locks', async () => {
  const [path, other] = [await newPageFile(), await newPageFile()];
  const first = await openBlockFile(path, 'write');
  const waiting = PageStore.open(path, { lockTimeout: 30 });
  await setTimeout(60);
  rmSync(path);
  symlinkSync(other, path);
  const second = await openBlockFile(other, 'write');
  await first.close();
  await setTimeout(120);
  const before = readFileSync(other);
  await expect(takeWriterLock(other)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
  expect(readFileSync(other).equals(before)).toBe(true);
  await second.close();
  const store = await waiting;
  await expect(PageStore.open(other)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
  await store.close();
});

test('a name that is gone when a waiting writer gets the lock is an error, and nothing is left', async () => {
  const path = await newPageFile();
  const first = await openBlockFile(path, 'write');
  const waiting = expect(openBlockFile(path, 'write', { lockTimeout: 30 })).rejects.toMatchObject({ code: 'IO' });
  await setTimeout(60);
  rmSync(path);
  await first.close();
  await waiting;
  expect(existsSync(path)).toBe(false);
});

test('locks of other programs are heeded where they cover the byte, and otherwise ignored', async () => {
  const path = await newPageFile();
  const native = await loadNativeLocking();
  const fd = openSync(path, 'r+');
  expect(native?.tryLock(fd, 0, 4096)).toBe(true);
  await (await openBlockFile(path, 'write')).close();
  expect(native?.tryLock(fd, 0, 0)).toBe(true); // to the end of all files
  await expect(openBlockFile(path, 'write')).rejects.toThrow('or another program has locked the file');
  await (await openBlockFile(path, 'read')).close();
  closeSync(fd);
  await (await openBlockFile(path, 'write')).close();
});

test('a file that may only be read is refused to a writer, without a lock file, and can be read', async () => {
  const path = await newPageFile();
  chmodSync(path, 0o444);
  for (const folder of [dirname(path), dirname(dirname(path))]) chmodSync(folder, 0o777);
  rmSync(`${path}.lock`);
  const names = namesBeside(path);
  const { exit, stderr } = await runCli(['append', path, 'x'], { bin: copy, ...unprivileged });
  expect({ exit, stderr: stderr.toString() }).toMatchObject({ exit: 3 });
  expect(stderr.toString()).toContain('permission denied');
  expect((await runCli(['stat', path], { bin: copy, ...unprivileged })).exit).toBe(0);
  expect(namesBeside(path)).toEqual(names);
});

test('a lock that a failed command has created goes with it, and waiting writers are still excluded', async () => {
  const path = await newPageFile();
  const name = `${path}.name`;
  const noSpace = new Error('no space');
  let waiting: Promise<Awaited<ReturnType<typeof createBlockFile>>> | undefined;
  const failing = createBlockFile(name, false, async () => {
    waiting = createBlockFile(name, false, async (file) => file.write(text('second'), 0), { lockTimeout: 30 });
    await setTimeout(100);
    throw noSpace;
  });
  await expect(failing).rejects.toBe(noSpace);
  const second = await waiting;
  await expect(createBlockFile(name, true, async () => undefined)).rejects.toMatchObject({ code: 'FILE_LOCKED' });
  await second?.close();
  expect(readFileSync(name, 'utf8')).toBe('second');
});
