import { fitsHeaders, isHome } from '../disk/commit-judgement.ts';
import type { CommittedView } from '../disk/committed-view.ts';
import { OverlaidFile } from '../disk/overlay.ts';
import { fileHeaderProblems } from '../format/invariants.ts';
import type { BlockScan } from './block-scan.ts';
import type { MendedHeader } from './header-sources.ts';

/**
 * Whether a page was mended for which a commit record may stand that did not: then no header may change before it is
 * judged.
 * @param mended - the file header that the repair puts in the place of the file's
 */
export async function mayStandNow(
  view: CommittedView,
  scan: BlockScan,
  mended: MendedHeader | undefined,
): Promise<boolean> {
  const { records, standing } = view.recovery;
  const waiting = records.filter((record) => !standing.includes(record) && scan.mended.has(record.block));
  if (waiting.length === 0) return false;
  const isFinal = mended?.settles !== true && fileHeaderProblems(await view.readFileHeader()).next().done === true;
  // A header that another source gives, or none, says nothing of which records it fits.
  if (!isFinal) return true;
  const file = new OverlaidFile(view, scan.mendedHeads);
  for (const record of waiting) {
    if ((await fitsHeaders(file, record)) && !(await isHome(file, record))) return true;
  }
  return false;
}
