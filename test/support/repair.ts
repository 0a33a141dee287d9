import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { repair, type RepairOptions, undoRepair } from '../../src/repair/repair.ts';
import type { Change, LeftProblem, RepairReport } from '../../src/repair/repairs.ts';
import { hexOf } from './nodes.ts';

export interface Repaired {
  readonly bytes: Uint8Array;
  readonly changes: Change[];
  readonly left: LeftProblem[];
  readonly summary: RepairReport;
  /** The undo file; undefined if nothing was repaired. */
  readonly undo: Uint8Array | undefined;
}

/** A change as `repair block:offset field`. */
export const briefChange = ({ repair, block, offset, field }: Change): string =>
  `${repair} ${block}:${offset % 262_144}${field === undefined ? '' : ` ${field}`}`;

/** A change with its bytes, for comparing. */
const whole = (change: Change): string => `${briefChange(change)} ${hexOf(change.before)} ${hexOf(change.after)}`;

/** Repairs a copy of the bytes. A dry run before it has to report the same and write nothing. */
export async function repaired(bytes: Uint8Array, options?: RepairOptions): Promise<Repaired> {
  const dry = await planned(bytes, options);
  const file = new MemoryBlockFile(bytes.slice());
  const undo = new MemoryBlockFile();
  const [changes, left]: [Change[], LeftProblem[]] = [[], []];
  const summary = await repair(file, {
    undo: { create: async () => undo, remove: async () => undefined },
    onChange: (change) => void changes.push(change),
    onLeft: (problem) => void left.push(problem),
    ...options,
  });
  const same = JSON.stringify([changes.map(whole), left, summary]);
  if (same !== JSON.stringify([dry.changes.map(whole), dry.left, dry.summary])) {
    throw new Error('a dry run reports something else than the run that follows it');
  }
  const kept = undo.bytes.length > 0 ? undo.bytes.slice() : undefined;
  return { bytes: file.bytes.slice(), changes, left, summary, undo: kept };
}

/** A dry run, which must not change the bytes. */
export async function planned(
  bytes: Uint8Array,
  options?: RepairOptions,
): Promise<Pick<Repaired, 'changes' | 'left' | 'summary'>> {
  const copy = bytes.slice();
  const [changes, left]: [Change[], LeftProblem[]] = [[], []];
  const summary = await repair(new MemoryBlockFile(copy), {
    dryRun: true,
    onChange: (change) => void changes.push(change),
    onLeft: (problem) => void left.push(problem),
    ...options,
  });
  if (Buffer.compare(copy, bytes) !== 0) throw new Error('a dry run has written to the file');
  return { changes, left, summary };
}

/** The file after the repair was undone. */
export async function undone({ bytes, undo }: Repaired): Promise<Uint8Array> {
  const file = new MemoryBlockFile(bytes.slice());
  if (undo) await undoRepair(file, new MemoryBlockFile(undo));
  return file.bytes;
}
