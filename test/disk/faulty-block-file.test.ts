import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { FaultyBlockFile } from '../../src/disk/faulty-block-file.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { text } from '../support/nodes.ts';

describe('a faulty block file', () => {
  test('passes all calls on and counts them', async () => {
    const inner = new MemoryBlockFile();
    const file = new FaultyBlockFile(inner);
    await file.write(text('abc'), 0);
    await file.truncate(2);
    await file.sync();
    await file.journal.write(text('kept'));
    const target = new Uint8Array(2);
    expect([await file.size(), await file.read(target, 0)]).toEqual([2, 2]);
    expect(target).toEqual(text('ab'));
    expect(await inner.journal.read()).toEqual(text('kept'));
    await file.journal.remove();
    expect(await file.journal.read()).toBeUndefined();
    await file.close();
    const kinds = ['size', 'read', 'write', 'truncate', 'sync', 'close', 'journal read', 'journal write'] as const;
    expect(kinds.map((kind) => file.count(kind))).toEqual(kinds.map(() => 1));
    expect(inspect(file)).toContain("FaultyBlockFile { 'memory', 1 x write");
  });

  test('fails the nth call of a kind once, or from then on', async () => {
    const file = new FaultyBlockFile();
    file.fail({ on: 'sync', nth: 2, errno: 'ENOSPC' });
    await file.sync();
    await expect(file.sync()).rejects.toMatchObject({ code: 'IO', detail: { file: 'memory', errno: 'ENOSPC' } });
    await file.sync();
    file.fail({ on: ['journal remove', 'journal read'], lasts: true });
    for (let times = 0; times < 3; times++) {
      await expect(file.journal.read()).rejects.toMatchObject({ code: 'IO', detail: { errno: 'EIO' } });
      await expect(file.journal.remove()).rejects.toThrow('journal remove');
    }
    file.heal();
    await file.journal.remove();
    expect(file.count('sync')).toBe(3);
  });

  test('by default fails the next call that changes the file', async () => {
    const file = new FaultyBlockFile();
    file.fail();
    await file.size();
    await file.read(new Uint8Array(1), 0);
    await expect(file.truncate(100)).rejects.toMatchObject({ code: 'IO' });
    expect(await file.size()).toBe(0);
    await file.truncate(100);
  });

  test('cuts a failing write short, at a sector or where the test says', async () => {
    const inner = new MemoryBlockFile();
    const file = new FaultyBlockFile(inner);
    file.fail({ on: 'write' });
    await expect(file.write(new Uint8Array(3000).fill(1), 0)).rejects.toMatchObject({ code: 'IO' });
    expect(inner.bytes).toEqual(new Uint8Array(1024).fill(1));
    file.fail({ on: 'write', writtenBytes: 3 });
    await expect(file.write(text('12345'), 1024)).rejects.toMatchObject({ code: 'IO' });
    expect(inner.bytes.subarray(1024)).toEqual(text('123'));
    file.fail({ on: 'write', writtenBytes: 0 });
    await expect(file.write(text('67'), 1027)).rejects.toMatchObject({ code: 'IO' });
    expect(inner.bytes).toHaveLength(1027);
  });

  test('fails the calls that a function chooses', async () => {
    const file = new FaultyBlockFile();
    file.fail({ on: 'write', when: (call) => call.kind === 'write' && call.position > 10 });
    await file.write(text('x'), 0);
    await expect(file.write(text('x'), 11)).rejects.toMatchObject({ code: 'IO' });
    file.onCall = ({ kind }) => (kind === 'close' ? { errno: 'EBADF' } : undefined);
    await expect(file.close()).rejects.toMatchObject({ detail: { errno: 'EBADF' } });
  });

  test('names an option that it does not have, or that is invalid', () => {
    const file = new FaultyBlockFile();
    expect(() => file.fail({ operation: 'sync' } as object)).toThrow("unknown option 'operation'");
    expect(() => file.fail({ nth: 0 })).toThrow('nth');
    expect(() => file.fail({ writtenBytes: -1 })).toThrow('writtenBytes');
  });

  test('shows what a store keeps when a sync fails', async () => {
    const file = new FaultyBlockFile();
    const store = await PageStore.create(file);
    file.fail({ on: 'sync', nth: 2, errno: 'EIO' });
    const ref = await store.append(text('kept'));
    await expect(store.append(text('lost'))).rejects.toMatchObject({ code: 'IO' });
    file.heal();
    const reopened = await PageStore.open(file);
    expect(await reopened.read(ref)).toEqual(text('kept'));
    await expect(reopened.read({ block: ref.block, slot: 1 })).rejects.toMatchObject({ code: 'SLOT_RANGE' });
  });
});
