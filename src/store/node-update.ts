import type { DiskManager } from '../disk/disk-manager.ts';
import { PageStoreError } from '../errors.ts';
import { resealedHead } from '../format/finalize.ts';
import { nodeOf } from '../format/page.ts';
import { assertSlot, readSoundPage } from './page-reader.ts';
import type { PageRef } from './page-ref.ts';

/**
 * Writes a node over one of the same length, durably. It is the one change that overwrites committed bytes: cut off
 * half way, it leaves a page whose checksum does not match.
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
  old.set(node);
  await disk.write(block, node, page.directory.nodeOffset(slot));
  await disk.commit({ changed: { block, head: resealedHead(page) } });
}
