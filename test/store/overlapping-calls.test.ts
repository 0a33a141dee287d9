import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { makeNodes, text } from '../support/nodes.ts';
import { RecordingBlockFile } from '../support/recording-block-file.ts';
import { specNodes } from '../support/spec-reader.ts';
import { brief, verifyAll } from '../support/verify.ts';

const tick = (): Promise<void> => new Promise((resolve) => void setImmediate(resolve));

/** A file whose syncs take some turns of the event loop, as those of a disk do. */
class SlowFile extends MemoryBlockFile {
  override async sync(): Promise<void> {
    for (let turns = 0; turns < 5; turns++) await tick();
  }
}

describe.each(['v1', 'v2'] as const)('staging a node of a %s file', (pageFormat) => {
  test.each([0, 1, 2, 3, 4])(
    '%d turns into another write is refused, and that write is as it would be',
    async (turns) => {
      const file = new SlowFile();
      const store = await PageStore.create(file, { pageFormat });
      await store.append(text('first'));
      for (const write of [() => store.append(text('x')), () => store.appendMany(makeNodes(30, 20_000, 20_000))]) {
        const writing = write();
        for (let turn = 0; turn < turns; turn++) await tick();
        expect(() => store.stage(text('staged'))).toThrow('another write is in progress');
        await writing;
      }
      await store.makeRoom(6);
      expect(store.stage(text('staged'))).toBe(true);
      const committing = store.commit();
      await tick();
      expect(() => store.stage(text('too soon'))).toThrow(TypeError);
      expect(await committing).toMatchObject([{ count: 1 }]);
      await store.append(text('last'));
      await store.close();
      expect(brief((await verifyAll(file)).findings)).toEqual([]);
      const nodes = specNodes(file.bytes).map(({ bytes }) => bytes.subarray(0, 8).toString('latin1'));
      expect(nodes).toHaveLength(34);
      expect(nodes.slice(-2)).toEqual(['staged', 'last']);
    },
  );
});

describe('staging and committing', () => {
  test('fail on a store whose sync has failed, also with nothing staged', async () => {
    const file = new RecordingBlockFile();
    const store = await PageStore.create(file);
    await store.makeRoom(4);
    store.stage(text('node'));
    file.failOn = ({ kind }) => (kind === 'sync' ? 'EIO' : undefined);
    await expect(store.commit()).rejects.toMatchObject({ code: 'IO' });
    file.failOn = () => undefined;
    await expect(store.commit()).rejects.toThrow('open the file again');
    expect(() => store.stage(text('node'))).toThrow('open the file again');
  });

  test('fail on a store that is closed, or open for reading', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file);
    await store.append(text('node'));
    const reader = await PageStore.open(file, { access: 'read' });
    await expect(reader.makeRoom(1)).rejects.toMatchObject({ code: 'FILE_READ_ONLY' });
    await expect(reader.commit()).rejects.toMatchObject({ code: 'FILE_READ_ONLY' });
    expect(() => reader.stage(text('x'))).toThrow('opened for reading');
    await store.close();
    expect(() => store.stage(text('x'))).toThrow('has been closed');
  });
});

describe('an invalid file for open or create', () => {
  test('is a TypeError that says so', async () => {
    for (const file of [null, 5, {}, new URL('file:///tmp/x')] as unknown as string[]) {
      await expect(PageStore.open(file)).rejects.toThrow('file must be a path, or a BlockFile with a journal');
      await expect(PageStore.create(file)).rejects.toThrow(TypeError);
    }
    const options = { access: 'rw' } as unknown as { access: 'read' };
    await expect(PageStore.open(new MemoryBlockFile(), options)).rejects.toThrow(
      "options.access must be 'read' or 'write', not 'rw'",
    );
  });

  test('a block file that is not empty is not changed, unless `replace` is set', async () => {
    const file = new MemoryBlockFile();
    const store = await PageStore.create(file);
    await store.append(text('precious'));
    await store.close();
    await expect(PageStore.create(file)).rejects.toMatchObject({ code: 'FILE_EXISTS' });
    expect(specNodes(file.bytes)).toHaveLength(1);
    await PageStore.create(file, { replace: true });
    expect(specNodes(file.bytes)).toHaveLength(0);
  });
});
