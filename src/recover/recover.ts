import { assertPathOrBlockFile, checkOptions } from '../arguments.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { betweenBlocks, type LongWork } from '../disk/long-work.ts';
import { withPageFile } from '../disk/node-block-file.ts';
import { fillNewFile } from '../disk/node-create.ts';
import { assertNoPathConflict } from '../disk/node-fs.ts';
import { LOCK_OPTION_KINDS } from '../disk/node-lock.ts';
import { PageStoreError } from '../errors.ts';
import { FILE_HEADER, FILE_MAGIC } from '../format/file-header.ts';
import { BLOCK_BYTES, fileOffset, NODE_AREA_OFFSET, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { pageFormatOf } from '../format/page-header.ts';
import { DirectoryScratch } from '../format/v2-directory.ts';
import { SlotTable } from '../salvage/page-slots.ts';
import { recoverPage } from './block-recovery.ts';
import { findHeader, type FoundHeader } from './file-header.ts';
import { FileRecovery } from './file-recovery.ts';
import type { RecoverOptions, RecoverReport } from './report.ts';

/**
 * Writes every node of a damaged page file that can still be read into a new file, at its ref if possible. The source
 * is only read, one block at a time, without a lock. Verify finds no error in the new file.
 *
 * Valid pages are copied. Damaged pages become new finalized ones with a lost slot for each lost node, so that no
 * later node gets its ref; reading one is the error `SLOT_LOST`. Nodes that do not fit at their refs follow after the last block.
 * @param source - a path, or a BlockFile, which stays open; read as of its last commit
 * @param target - a path, where the file appears complete or not at all; or an empty BlockFile, which stays open and is
 * not a page file if this throws
 * @throws TypeError for wrong parameters
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE` if nothing in the source is of a page file; `FILE_EXISTS`,
 * `FILE_FULL`, `FILE_LOCKED`, `IO`; the reason of `signal`
 */
export async function recover(
  source: string | BlockFile,
  target: string | BlockFile,
  options: RecoverOptions = {},
): Promise<RecoverReport> {
  assertPathOrBlockFile('recover', 'source', source);
  assertPathOrBlockFile('recover', 'target', target);
  checkOptions('recover', options, {
    ...LOCK_OPTION_KINDS,
    keepRoot: 'boolean',
    replace: 'boolean',
    onBlock: 'function',
    onMoved: 'function',
    onDurable: 'function',
    onPublished: 'function',
    onProgress: 'function',
    signal: 'signal',
  });
  if (source === target && typeof source !== 'string')
    throw new TypeError('recover: source and target must be different BlockFiles');
  const paths = typeof source === 'string' && typeof target === 'string' ? { source, target } : undefined;
  if (paths) await assertNoPathConflict('the new file', paths.target, [paths.source]);
  return withPageFile(source, 'read', async (file) => {
    const found = await findRecoverable(file, options);
    const write = (into: BlockFile): Promise<RecoverReport> => FileRecovery.run(found, into, options);
    return fillNewFile(target, options.replace ?? false, write, { ...options, copyOf: paths?.source });
  });
}

/** @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `IO`; the reason of the signal */
export async function findRecoverable(source: BlockFile, { signal, onProgress }: LongWork): Promise<FoundHeader> {
  const found = await findHeader(source, signal);
  if (found.source === 'lost' && !(await isPageFile(found, { signal, onProgress }))) {
    const rest = 'no commit record, no header copy, and no page';
    const hasMagic = FILE_HEADER.read(found.head).magic === FILE_MAGIC;
    const message = hasMagic
      ? `nothing to recover: the file header is damaged, and there is ${rest}`
      : `not a page file: there is no file header, ${rest}`;
    throw new PageStoreError('NOT_A_PAGE_FILE', message, { file: source.name });
  }
  return found;
}

/** If no block begins with a magic, so many are searched for damaged pages. */
const BLOCKS_TO_SEARCH = 64;

/** Whether a file without a header contains pages. */
async function isPageFile(found: FoundHeader, work: LongWork): Promise<boolean> {
  const { view, startedBlocks: blocks } = found;
  const head = new Uint8Array(PAGE_HEADER_BYTES);
  for (let block = 1; block < blocks; block++) {
    const pause = betweenBlocks(block, blocks, work);
    if (pause) await pause;
    head.fill(0, await view.read(head, fileOffset(block)));
    if (pageFormatOf(head) !== undefined) return true;
  }
  const memory = { bytes: new Uint8Array(BLOCK_BYTES), slots: new SlotTable(), scratch: new DirectoryScratch() };
  const { bytes, slots } = memory;
  for (let block = 1; block < Math.min(blocks, BLOCKS_TO_SEARCH); block++) {
    work.signal?.throwIfAborted();
    const presentBytes = await view.read(bytes, fileOffset(block));
    bytes.fill(0, presentBytes);
    const noRecords = { records: [], isLastCommitted: false, isRecorded: false };
    const page = recoverPage({ ...memory, block, presentBytes, ...noRecords });
    // Any bytes can look like one empty node.
    if (page && slots.count > 0 && slots.nodeOffset(slots.count - 1) > NODE_AREA_OFFSET) return true;
  }
  return false;
}
