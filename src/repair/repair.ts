import { assertPathOrBlockFile, checkOptions } from '../arguments.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { rewriteCoveredBlocks } from '../disk/commit-log.ts';
import { applyPatches, comparePatches, recoverJournal, withJournal } from '../disk/journal.ts';
import { withPageFile } from '../disk/node-block-file.ts';
import { NodeUndoFile, openNodeUndoFile } from '../disk/node-create.ts';
import { LOCK_OPTION_KINDS, type LockOptions } from '../disk/node-lock.ts';
import { PageStoreError } from '../errors.ts';
import type { Patch } from '../format/journal.ts';
import { planRepair } from './plan.ts';
import {
  type Change,
  changeOf,
  type LeftProblem,
  PlanOutput,
  type RepairReport,
  type RepairScanOptions,
} from './repairs.ts';
import { readUndoHeader, RepairedState, undoBatches, UndoWriter } from './undo-file.ts';

/** Where the overwritten bytes are kept. */
export interface UndoPlace {
  /** Creates the undo file; called once, before the first change. The repair closes it. */
  create(): Promise<BlockFile>;
  /** Removes it, if nothing was overwritten. */
  remove(): Promise<void>;
}

/** The lock options are for a path. */
export interface RepairOptions extends RepairScanOptions, LockOptions {
  /** Reports all changes without making any. Default: false. */
  readonly dryRun?: boolean;
  /**
   * A new file for the overwritten bytes: a path, or an UndoPlace, which a BlockFile needs. Default: the path of the
   * page file with `.undo` added, or the first free one of `.undo.1`, `.undo.2`, …
   */
  readonly undo?: string | UndoPlace;
  /** Called after each change; in a dry run for each change that would be made. */
  readonly onChange?: (change: Change) => void | Promise<void>;
  /** Called for each error, and for some warnings, that cannot be repaired. */
  readonly onLeft?: (problem: LeftProblem) => void | Promise<void>;
}

/**
 * Repairs what can be derived without guessing. The undo file is durable before the first change; the changes go
 * through the journal. After a crash the next writer completes the journal, and another repair does the rest.
 * @param file - a path, or a BlockFile opened for writing, which stays open
 * @throws TypeError for wrong parameters
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_VERSION`, `JOURNAL_MISMATCH`, `FILE_LOCKED`,
 * `FILE_EXISTS` for the undo file, `IO`; the reason of `signal`
 */
export async function repair(file: string | BlockFile, options: RepairOptions = {}): Promise<RepairReport> {
  assertPathOrBlockFile('repair', 'file', file);
  checkOptions('repair', options, {
    ...LOCK_OPTION_KINDS,
    dryRun: 'boolean',
    undo: 'any',
    staleChecksums: 'boolean',
    likelyBits: 'boolean',
    onChange: 'function',
    onLeft: 'function',
    onProgress: 'function',
    signal: 'signal',
  });
  if (options.dryRun === true) return withPageFile(file, 'read', (opened) => dryRepair(opened, options));
  const place = undoPlaceOf(file, options.undo);
  return withPageFile(file, 'write', (opened) => repairFile(opened, place, options), options);
}

function undoPlaceOf(file: string | BlockFile, undo: string | UndoPlace | null | undefined): UndoPlace {
  if (typeof file === 'string' && (undo === undefined || typeof undo === 'string')) return new NodeUndoFile(file, undo);
  const isPlace = typeof undo === 'object' && typeof undo?.create === 'function' && typeof undo.remove === 'function';
  if (isPlace) return undo;
  throw new TypeError('repair: options.undo must be a path or an UndoPlace; to repair a BlockFile, an UndoPlace');
}

async function dryRepair(file: BlockFile, options: RepairOptions): Promise<RepairReport> {
  const output = new PlanOutput(
    async (patch) => options.onChange?.(changeOf(patch)),
    async (problem) => options.onLeft?.(problem),
  );
  return (await planRepair(await withJournal(file), output, options)).report;
}

async function repairFile(file: BlockFile, place: UndoPlace, options: RepairOptions): Promise<RepairReport> {
  await recoverJournal(file);
  let undo: BlockFile | undefined;
  let writer: UndoWriter | undefined;
  let hasBegun = false;
  try {
    const output = new PlanOutput(
      async (patch) => {
        writer ??= new UndoWriter((undo = await place.create()), await RepairedState.read(file));
        await writer.add(patch);
      },
      async (problem) => options.onLeft?.(problem),
    );
    const { report, checkpointed } = await planRepair(file, output, options);
    if (undo === undefined || writer === undefined) return report;
    await writer.finish(await file.size());
    options.signal?.throwIfAborted();
    // The repair empties these records, and the blocks that they cover may not be durable.
    for (const record of checkpointed) await rewriteCoveredBlocks(file, record);
    // A durable journal is applied again after a crash, so the rest of the file must be durable before it.
    await file.sync();
    for await (const batch of undoBatches(undo, await readUndoHeader(undo))) {
      options.signal?.throwIfAborted();
      await applyBatch(file, batch, options.onChange, () => (hasBegun = true));
    }
    return report;
  } finally {
    await undo?.close();
    if (!hasBegun) await place.remove();
  }
}

/** The lock options are for a page file given as a path. */
export interface UndoOptions extends LockOptions {
  /** Called after each change: `before` are the repaired bytes, `after` the old ones. */
  readonly onChange?: (change: Change) => void | Promise<void>;
  /** Stops between two journals; the signal's reason is thrown. */
  readonly signal?: AbortSignal;
}

/** The result of {@link undoRepair}. */
export interface UndoReport {
  readonly file: string;
  readonly changes: number;
  /** Changes whose old bytes were already in the file. */
  readonly unchanged: number;
}

/**
 * Undoes a repair. Writes nothing unless the file has the old or new bytes at every change (old after an interruption).
 * @param file - a path, or a BlockFile opened for writing, which stays open
 * @param undo - the undo file: a path, or a BlockFile, which stays open
 * @throws TypeError for wrong parameters
 * @throws {@link PageStoreError} `NOT_AN_UNDO_FILE`; `UNDO_MISMATCH` if the page file has changed since;
 * `JOURNAL_MISMATCH`, `FILE_LOCKED`, `IO`; the reason of `signal`
 */
export async function undoRepair(
  file: string | BlockFile,
  undo: string | BlockFile,
  options: UndoOptions = {},
): Promise<UndoReport> {
  assertPathOrBlockFile('undoRepair', 'file', file);
  assertPathOrBlockFile('undoRepair', 'undo', undo);
  checkOptions('undoRepair', options, { ...LOCK_OPTION_KINDS, onChange: 'function', signal: 'signal' });
  const undoFile = typeof undo === 'string' ? await openNodeUndoFile(undo) : undo;
  try {
    return await withPageFile(file, 'write', (opened) => undoFrom(opened, undoFile, options), options);
  } finally {
    if (typeof undo === 'string') await undoFile.close();
  }
}

async function undoFrom(file: BlockFile, undo: BlockFile, { onChange, signal }: UndoOptions): Promise<UndoReport> {
  const header = await readUndoHeader(undo);
  await recoverJournal(file);
  const mismatchError = (found: string): PageStoreError => {
    const message = `the file ${found}, so ${undo.name} does not fit it; nothing was written`;
    return new PageStoreError('UNDO_MISMATCH', message, { file: file.name });
  };
  const size = await file.size();
  if (BigInt(size) !== header.fileBytes) {
    throw mismatchError(`has ${size} bytes, and had ${header.fileBytes} when it was repaired`);
  }
  const state = await RepairedState.read(file);
  for await (const batch of undoBatches(undo, header)) {
    signal?.throwIfAborted();
    for (const patch of batch) {
      changeOf(patch); // refuses a repair that is not known
      await state.add(patch);
    }
    const { mismatch } = await comparePatches(file, batch);
    if (mismatch) throw mismatchError(`has changed at byte ${mismatch.position} since it was repaired`);
  }
  if (state.finish() !== header.stateCrc) throw mismatchError('has been written to since it was repaired');
  let changes = 0;
  for await (const batch of undoBatches(undo, header)) {
    signal?.throwIfAborted();
    const reversed = batch.map((patch) => ({ ...patch, before: patch.after, after: patch.before }));
    changes += await applyBatch(file, reversed, onChange);
  }
  return { file: file.name, changes, unchanged: header.patchCount - changes };
}

/** Applies patches together, except those already in the file, and reads them back. @returns how many it applied */
async function applyBatch(
  file: BlockFile,
  batch: readonly Patch[],
  onChange: RepairOptions['onChange'],
  onBegin?: () => void,
): Promise<number> {
  const missing: Patch[] = [];
  for (const patch of batch) if (!(await isApplied(file, patch))) missing.push(patch);
  if (missing.length === 0) return 0;
  await applyPatches(file, missing, onBegin);
  for (const patch of missing) {
    if (!(await isApplied(file, patch))) {
      const { position: offset } = patch;
      throw new PageStoreError('IO', `byte ${offset} does not read as it was written`, { file: file.name, offset });
    }
    await onChange?.(changeOf(patch));
  }
  return missing.length;
}

async function isApplied(file: BlockFile, patch: Patch): Promise<boolean> {
  return (await comparePatches(file, [patch])).state === 'complete';
}
