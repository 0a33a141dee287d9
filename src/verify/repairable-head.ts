import { type BlockFile, OverlaidFile } from '../disk/block-file.ts';
import { CommittedView } from '../disk/committed-view.ts';
import { digestProblems } from '../format/digest-checks.ts';
import { type RecordedPage, restoredHead, tookEffect } from '../salvage/evidence.ts';
import { findNewerHeader, provesOlder } from '../salvage/newer-header.ts';

/** What repair can prove of headers that are valid, and older than something else in block 0. */
export interface ProvenHead {
  /** Whether a newer file header is proved. */
  readonly isNewerProven: boolean;
  /** The pages that are older than their commit record, which has their last header. */
  readonly olderPages: readonly RecordedPage[];
}

export const NOTHING_PROVEN: ProvenHead = { isNewerProven: false, olderPages: [] };

/**
 * Looks for a newer file header and for newer page headers as repair does. Reads page headers only if one of them is
 * known to be old: those of all blocks, once for each of three file headers at most.
 * @param view - whose file header is valid
 * @param head - the first 12,800 bytes of block 0, with the commit records applied
 * @throws {@link PageStoreError} `IO`; the reason of the signal
 */
export async function proveHead(
  view: BlockFile,
  head: Uint8Array,
  recordedPages: readonly RecordedPage[],
  signal: AbortSignal | undefined,
): Promise<ProvenHead> {
  const isOld = [...digestProblems(head)].some(({ code }) => code === 'FILE_HEADER_OLD');
  const restorable = recordedPages.filter(({ isWhole, mayBeFreed }) => isWhole && !mayBeFreed);
  const others = restorable.filter(({ isOlder }) => !isOlder);
  const older = restorable.filter(({ isOlder }) => isOlder);
  if (older.length > 0) {
    const withAll = new OverlaidFile(view, restorable.map(restoredHead));
    const newer = isOld ? await findNewerHeader(withAll, head, signal) : undefined;
    const isNewerProven = typeof newer === 'object';
    const found = isNewerProven ? newer.view : await CommittedView.open(withAll, signal);
    const isProven =
      older.every(({ record }) => tookEffect(found, record)) && (await provesOlder(older, found, signal));
    if (isProven) return { isNewerProven, olderPages: older };
  }
  if (!isOld) return NOTHING_PROVEN;
  const newer = await findNewerHeader(new OverlaidFile(view, others.map(restoredHead)), head, signal);
  return { isNewerProven: typeof newer === 'object', olderPages: [] };
}
