import { expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { recover } from '../../src/recover/recover.ts';
import type { BlockReport } from '../../src/recover/report.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { compact } from '../../src/transfer/compact.ts';
import { text } from '../support/nodes.ts';

/** Of which the second read of block 1, which is that of its nodes, has a byte that a writer beside it has not written yet. */
class TornOnce extends MemoryBlockFile {
  reads = 0;

  override async read(target: Uint8Array, position: number): Promise<number> {
    const bytes = await super.read(target, position);
    if (position === BLOCK_BYTES && target.length === BLOCK_BYTES && this.reads++ === 1) target[64]! ^= 0xff; // a node byte
    return bytes;
  }
}

async function filled(): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  await store.appendMany([text('hello'), new Uint8Array(200_000), new Uint8Array(200_000)]);
  await store.close();
  return file.bytes;
}

async function recovered(file: MemoryBlockFile): Promise<BlockReport[]> {
  const reports: BlockReport[] = [];
  await recover(file, new MemoryBlockFile(), { onBlock: (report) => void reports.push(report) });
  return reports;
}

test('recover reads a torn page again', async () => {
  const file = new TornOnce(await filled());
  const [report] = (await recovered(file)).filter(({ block }) => block === 1);
  expect(file.reads).toBeGreaterThan(2);
  expect(report).toMatchObject({ slots: { sound: 2, doubtful: 0, lost: 0 }, problems: [] });
});

test('recover and compact report the first bytes of a block that is not a page', async () => {
  const bytes = await filled();
  for (let at = 0; at < BLOCK_BYTES; at++) bytes[2 * BLOCK_BYTES + at] = at * 7 + 0x41;
  const [report] = (await recovered(new MemoryBlockFile(bytes))).filter(({ block }) => block === 2);
  expect(JSON.stringify(report)).toContain('0x726b645d564f4841');
  await expect(compact(new MemoryBlockFile(bytes), new MemoryBlockFile())).rejects.toThrow('0x726b645d564f4841');
});
