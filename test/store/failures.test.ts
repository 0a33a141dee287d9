import { describe, expect, test } from 'vitest';
import { FaultyBlockFile } from '../../src/disk/faulty-block-file.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStoreError } from '../../src/errors.ts';
import type { PageFormat } from '../../src/format/page-header.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { contentsIn } from '../support/crash/judge-state.ts';
import { Oracle } from '../support/crash/oracle.ts';
import { ScriptRunner } from '../support/crash/script.ts';
import { makeNodes, random, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { brief, verifyAll } from '../support/verify.ts';

const ERRNOS = ['ENOSPC', 'EIO', 'EDQUOT', 'EROFS', 'EFBIG'];
const ACTIONS = 14;

const CHANGES = ['write', 'truncate', 'sync', 'journal write', 'journal remove'] as const;

/**
 * Runs a script in which the changing call number `failing` fails, and all later ones if the fault `lasts`. Then the fault
 * is removed and the file is opened again: it must have what was acknowledged.
 * @param failing - undefined for none
 * @returns number of calls that changed the file, or tried to
 */
async function failAt(format: PageFormat, failing: number | undefined, lasts: boolean): Promise<number> {
  const memory = new MemoryBlockFile();
  const file = new FaultyBlockFile(memory);
  let store = await PageStore.create(file, { pageFormat: format });
  const oracle = new Oracle();
  oracle.acknowledge((contents) => contents.set(1, []));
  const countChanges = (): number => CHANGES.reduce((sum, kind) => sum + file.count(kind), 0);
  const before = countChanges();
  if (failing !== undefined) file.fail({ nth: failing + 1, lasts, errno: ERRNOS[failing % ERRNOS.length]! });
  const runner = new ScriptRunner(store, oracle, random(7), format);
  let failed = false;
  for (let each = 0; each < ACTIONS && !failed; each++) {
    try {
      await runner.act();
    } catch (error) {
      failed = true;
      expect(error).toBeInstanceOf(PageStoreError);
      expect(error).toMatchObject({ code: 'IO' });
    }
  }
  // A failure after an acknowledgement is reported by the next call, which may be this one.
  await store.close().catch((error: unknown) => expect(error).toMatchObject({ code: 'IO' }));
  const changes = countChanges() - before;
  file.heal();
  store = await PageStore.open(file);
  expect(oracle.judge(await contentsIn(store))).toBeUndefined();
  await store.append(text('after the failure'));
  await store.close();
  expect(brief((await verifyAll(memory.bytes.slice())).findings)).toEqual([]);
  return changes;
}

describe.each(['v1', 'v2'] as const)('a %s file in which one operation fails', (format) => {
  test.each([
    ['once', false],
    ['and every one after it', true],
  ])('%s keeps what was acknowledged, and takes nodes again', { timeout: 120_000 }, async (_, lasts) => {
    const operations = await failAt(format, undefined, lasts);
    expect(operations).toBeGreaterThan(40);
    for (let failing = 0; failing < operations; failing++) await failAt(format, failing, lasts);
  });

  test('a sync, is not tried again, and nothing is written or read through that store any more', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    await store.append(text('kept'));
    file.failOn = ({ kind }) => (kind === 'sync' ? 'EIO' : undefined);
    await expect(store.append(text('lost'))).rejects.toMatchObject({ code: 'IO', detail: { errno: 'EIO' } });
    file.failOn = () => undefined;
    file.operations = [];
    await expect(store.append(text('later'))).rejects.toThrow('open the file again');
    await expect(store.update({ block: 1, slot: 0 }, text('KEPT'))).rejects.toThrow('open the file again');
    await expect(store.free(1)).rejects.toThrow('open the file again');
    await store.close();
    expect(file.operations).toEqual([{ kind: 'close' }]);
    const again = await PageStore.open(file);
    expect(await contentsIn(again)).toEqual(new Map([[1, ['kept']]]));
  });

  test('a header write after the sync that acknowledged the node does not revoke that', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    file.failOn = (step) => (step.kind === 'write' && step.position === 0 ? 'EIO' : undefined);
    const ref = await store.append(text('acknowledged'));
    expect(Buffer.from(await store.read(ref).catch(() => text('the store is dead'))).toString()).toBe(
      'the store is dead',
    );
    await store.close();
    file.failOn = () => undefined;
    const reader = await PageStore.open(file, { access: 'read' });
    expect(Buffer.from(await reader.read(ref)).toString()).toBe('acknowledged');
    const again = await PageStore.open(file);
    expect(Buffer.from(await again.read(ref)).toString()).toBe('acknowledged');
    expect(brief((await verifyAll(file.bytes.slice())).findings)).toEqual([]);
  });

  test('a header write is reported by close, if no call came in between', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file, { pageFormat: format });
    file.failOn = (step) => (step.kind === 'write' && step.position === 0 ? 'EIO' : undefined);
    await store.append(text('acknowledged'));
    await expect(store.close()).rejects.toMatchObject({ code: 'IO' });
  });
});

describe('concurrent calls of append', () => {
  test('share one sync', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file);
    file.operations = [];
    const refs = await Promise.all(makeNodes(100, 10, 60).map((node) => store.append(node)));
    expect(refs).toEqual(Array.from({ length: 100 }, (_, slot) => ({ block: 1, slot })));
    expect(file.count('sync')).toBe(1);
  });

  test('that arrive during a commit share the next one', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file);
    await store.append(text('first'));
    file.operations = [];
    const under = store.append(text('second'));
    // The commit has begun once the file hears of it.
    while (file.operations.length === 0) await Promise.resolve();
    await Promise.all([under, store.append(text('third')), store.append(text('fourth'))]);
    expect(file.count('sync')).toBe(2);
  });

  test('are answered one by one if one of them is too large for a page', async () => {
    const store = await PageStore.create(new RecordingBlockFile());
    const answers = await Promise.allSettled(
      [text('a'), new Uint8Array(262_144), text('b')].map((node) => store.append(node)),
    );
    expect(answers[0]).toEqual({ status: 'fulfilled', value: { block: 1, slot: 0 } });
    expect(answers[1]).toMatchObject({ status: 'rejected', reason: { code: 'NODE_TOO_LARGE' } });
    expect(answers[2]).toEqual({ status: 'fulfilled', value: { block: 1, slot: 1 } });
  });

  test('are all refused while nodes are staged', async () => {
    const store = await PageStore.create(new RecordingBlockFile());
    await store.makeRoom(1);
    store.stage(text('staged'));
    const answers = await Promise.allSettled([store.append(text('a')), store.append(text('b'))]);
    for (const answer of answers) expect(answer).toMatchObject({ status: 'rejected', reason: expect.any(TypeError) });
    await store.commit();
    expect(await store.append(text('c'))).toEqual({ block: 1, slot: 1 });
  });
});
