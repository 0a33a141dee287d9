import { MemoryBlockFile } from '../../../src/disk/block-file.ts';
import type { PageFormat } from '../../../src/format/page-header.ts';
import { PageStore } from '../../../src/store/page-store.ts';
import { text } from '../nodes.ts';

/** Makes the bases by name: page files, and a journal. The committed ones may be older and differ. */
export async function makeBases(): Promise<Map<string, Uint8Array>> {
  const { file, journal } = await updateCutOff();
  return new Map([
    ['v1.part', await twoPages('v1')],
    ['v2.part', await twoPages('v2')],
    ['free.part', await freeList()],
    ['mixed.part', await mixed()],
    ['pending.part', await pendingCommit()],
    ['updating.part', file],
    ['updating.journal', journal],
  ]);
}

/** Readable nodes of 0 to 36 bytes; no two are equal. */
function nodes(count: number, from = 0): Uint8Array[] {
  return Array.from({ length: count }, (_, index) => {
    const number = from + index;
    return text(number % 20 === 19 ? '' : `node ${number} ${'abcdefghijklmnopqrstuvwxyz'.slice(0, (number * 7) % 27)}`);
  });
}

/** Three blocks: the header, a finalized page of 20 nodes, an open page of 8. */
async function twoPages(pageFormat: PageFormat): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file, { pageFormat });
  await store.appendMany(nodes(20));
  await store.finalize();
  await store.appendMany(nodes(8, 20));
  await store.close();
  return file.bytes.slice();
}

/** Six blocks: pages of 6 nodes in 1 and 5; 2, 3 and 4 held such pages and were freed. The free list is 2, 4, 3. */
async function freeList(): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  const store = await PageStore.create(file);
  for (let page = 0; page < 5; page++) {
    await store.appendMany(nodes(6, 6 * page));
    await store.finalize();
  }
  for (const block of [3, 4, 2]) await store.free(block);
  await store.close();
  return file.bytes.slice();
}

/** Seven blocks: finalized pages of V1, V2 and V1 in 1, 2 and 4, an open one of V2 in 6. 3 and 5 held pages of V1 and V2; the free list is 5, 3. */
async function mixed(): Promise<Uint8Array> {
  const file = new MemoryBlockFile();
  await (await PageStore.create(file)).close();
  const formats: PageFormat[] = ['v1', 'v2', 'v1', 'v1', 'v2', 'v2'];
  for (const [index, pageFormat] of formats.entries()) {
    const store = await PageStore.open(file, { pageFormat });
    await store.appendMany(nodes(5 + index, 10 * index));
    if (index < formats.length - 1) await store.finalize();
    await store.close();
  }
  const store = await PageStore.open(file);
  for (const block of [3, 5]) await store.free(block);
  await store.close();
  return file.bytes.slice();
}

/** The file of a process that was killed right after the sync of a commit: only the record contains the new headers. */
async function pendingCommit(): Promise<Uint8Array> {
  let synced = new Uint8Array();
  const file = new (class extends MemoryBlockFile {
    override async sync(): Promise<void> {
      synced = this.bytes.slice();
    }
  })();
  const store = await PageStore.create(file);
  await store.appendMany(nodes(6));
  await store.appendMany(nodes(4, 6));
  return synced;
}

/** The file of a process that was killed during an update: half of it is new, and the journal contains the old bytes. */
async function updateCutOff(): Promise<{ file: Uint8Array; journal: Uint8Array }> {
  const states: Uint8Array[] = [];
  let journal: Uint8Array | undefined;
  const file = new (class extends MemoryBlockFile {
    override async write(source: Uint8Array, position: number): Promise<void> {
      await super.write(source, position);
      const kept = await this.journal.read();
      if (kept === undefined) return;
      journal = kept;
      states.push(this.bytes.slice());
    }
  })();
  const store = await PageStore.create(file);
  await store.appendMany(nodes(6));
  await store.update({ block: 1, slot: 2 }, text('NODE 2 ABCDEFGHIJKLMN'));
  const cutOff = states[0];
  if (cutOff === undefined || journal === undefined) throw new Error('update wrote no journal');
  return { file: cutOff, journal };
}
