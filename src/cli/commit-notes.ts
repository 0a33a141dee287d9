import type { CommittedView } from '../disk/committed-view.ts';
import type { CommitRecord } from '../format/commit-record.ts';

/** How a commit record stands to the file, for those who look into it. */
export type CommitState = 'home' | 'pending' | 'void' | 'superseded';

/** What each state means for the next writer. */
export const COMMIT_NOTES: Readonly<Record<CommitState, string>> = {
  home: 'its headers are in their places',
  pending: 'acknowledged or about to be; the next writer puts its headers in their places',
  void: 'never acknowledged, or its headers have been changed since, as by update or finalize',
  superseded: 'a later commit took its place',
};

/** The state of one of the commit records of a file. */
export function commitState(view: CommittedView, { sequence }: CommitRecord): CommitState {
  const { lastRecord, lastIsHome, pending } = view.recovery;
  if (pending.some((record) => record.sequence === sequence)) return 'pending';
  if (lastRecord?.sequence !== sequence) return 'superseded';
  return lastIsHome ? 'home' : 'void';
}
