import { FILE_HEADER } from '../format/file-header.ts';
import { fileHeaderProblems, fileSizeProblems, headerCopyProblems, type Problem } from '../format/invariants.ts';
import type { FoundHeader } from './header-source.ts';
import { tallyProblems } from './problem-tally.ts';
import type { BlockReport } from './recovery-report.ts';
import { reportOf } from './recovery-totals.ts';

/** What is to be said of block 0. */
export function headerReport(found: FoundHeader): BlockReport {
  return reportOf(0, 'header', { source: found.source, problems: tallyProblems(headerProblems(found)) });
}

function* headerProblems({ head, header, source, fileBytes }: FoundHeader): Generator<Problem> {
  yield* fileHeaderProblems(FILE_HEADER.read(head));
  if (source !== 'lost') yield* fileSizeProblems(header, fileBytes);
  yield* headerCopyProblems(head);
}
