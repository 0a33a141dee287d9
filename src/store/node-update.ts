import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { resealedHead } from '../format/finalize.ts';
import { nodeOf } from '../format/page.ts';
import { assertSlot, readSoundPage } from './page-reader.ts';
import type { PageRef } from './page-ref.ts';

/**
 * Writes a node over one of the same length, durably: a crash leaves the old node or the new one. It is the one change
 * of the store that overwrites committed bytes.
 * @throws {@link PageStoreError} `NODE_LENGTH`, and as {@link readSoundPage}
 */
export async function updateNode(disk: DiskManager, ref: PageRef, node: Uint8Array): Promise<void> {
  const { block, slot } = ref;
  const page = await readSoundPage(disk, block);
  assertSlot(disk, page, ref);
  const old = nodeOf(page, slot);
  if (old.length !== node.length) {
    const message = `the node at ${block}:${slot} has ${old.length} bytes and can be replaced by as many, not ${node.length}`;
    throw new PageStoreError('NODE_LENGTH', message, { file: disk.name, block, slot });
  }
  const image = page.block.slice();
  old.set(node);
  const start = page.directory.nodeOffset(slot);
  const changed = { start, end: start + node.length };
  await disk.overwrite({ block, image, bytes: node, changed, head: resealedHead(page) });
}
