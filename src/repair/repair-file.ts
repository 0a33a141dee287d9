import { crc32 } from '../bytes/checksum.ts';
import type { BlockFile } from '../disk/block-file.ts';
import { writeCoveredBlocks } from '../disk/commit-log.ts';
import { applyPatches, firstForeignPatch, recoverJournal, withJournal } from '../disk/overwrite.ts';
import { PageStoreError } from '../errors.ts';
import type { Patch } from '../format/journal.ts';
import { BLOCK_BYTES, FILE_HEAD_BYTES, fileOffset, PAGE_HEADER_BYTES } from '../format/layout.ts';
import { makePlan } from './plan.ts';
import {
  type Change,
  changeOf,
  type LeftProblem,
  type RepairOptions,
  type RepairSink,
  type RepairSummary,
} from './repairs.ts';
import { openUndoFile, UndoWriter } from './undo-file.ts';

/**
 * Knows a file again by what changes with whatever a writer does to it: the head of block 0 with every commit, the header
 * of a page with every update. They are summed up as they are with all patches made, so the sum is the same before, while
 * and after the patches are.
 */
export class RepairedState {
  readonly #file: BlockFile;
  readonly #head: Uint8Array = new Uint8Array(FILE_HEAD_BYTES);
  readonly #blockHead: Uint8Array = new Uint8Array(PAGE_HEADER_BYTES);
  #block = 0;
  #sum = 0;

  private constructor(file: BlockFile) {
    this.#file = file;
  }

  static async of(file: BlockFile): Promise<RepairedState> {
    const state = new RepairedState(file);
    await file.read(state.#head, 0);
    return state;
  }

  /** @param patch - the next one; those of a block come one after the other */
  async add({ position, after }: Patch): Promise<void> {
    const block = Math.floor(position / BLOCK_BYTES);
    if (block === 0) return lay(this.#head, position, after);
    if (block !== this.#block) {
      this.#endBlock();
      this.#block = block;
      this.#blockHead.fill(0, await this.#file.read(this.#blockHead, fileOffset(block)));
    }
    lay(this.#blockHead, position - fileOffset(block), after);
  }

  /**
   * Ends the sum: CRC-32 of the first 64 bytes of each block behind block 0 that has patches, in the order of these, and then
   * of the first 12,800 bytes of the file.
   */
  finish(): number {
    this.#endBlock();
    return crc32(this.#head, this.#sum);
  }

  #endBlock(): void {
    if (this.#block !== 0) this.#sum = crc32(this.#blockHead, this.#sum);
    this.#block = 0;
  }
}

function lay(target: Uint8Array, at: number, bytes: Uint8Array): void {
  if (at < target.length) target.set(bytes.subarray(0, target.length - at), at);
}

/** Where the bytes are kept that a repair overwrites. */
export interface UndoPlace {
  /** Makes the undo file: called once, where there is something to mend. It is closed by the repair. */
  create(): Promise<BlockFile>;
  /** Removes it again: nothing was overwritten. */
  remove(): Promise<void>;
}

/**
 * Tells what {@link repairFile} would do, and writes nothing.
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_VERSION`, `JOURNAL_MISMATCH`, `IO`
 */
export async function planRepair(
  file: BlockFile,
  sink: RepairSink,
  options: RepairOptions = {},
): Promise<RepairSummary> {
  const patch = async (each: Patch): Promise<void> => sink.change(knownChange(each));
  const left = async (problem: LeftProblem): Promise<void> => sink.left(problem);
  return (await makePlan(await withJournal(file), { patch, left }, options)).summary;
}

/**
 * Mends what can be derived without guessing. First the bytes that are to be overwritten go to an undo file, which stays;
 * then they are overwritten, by way of the journal, as many at once as it takes. Cut off at any point, what the
 * journal holds is completed by whoever opens the file to write, and the rest by another run.
 * @param file - opened for writing
 * @returns once what was changed has been read again
 * @throws {@link PageStoreError} `NOT_A_PAGE_FILE`, `FILE_HEADER_VERSION`, `JOURNAL_MISMATCH`, `IO`, and those of the undo place
 */
export async function repairFile(
  file: BlockFile,
  place: UndoPlace,
  sink: RepairSink,
  options: RepairOptions = {},
): Promise<RepairSummary> {
  await recoverJournal(file);
  let undo: BlockFile | undefined;
  let writer: UndoWriter | undefined;
  let begun = false;
  try {
    const state = await RepairedState.of(file);
    const patch = async (each: Patch): Promise<void> => {
      await state.add(each);
      writer ??= new UndoWriter((undo = await place.create()));
      await writer.add(each);
    };
    const left = async (problem: LeftProblem): Promise<void> => sink.left(problem);
    const { summary, settled } = await makePlan(file, { patch, left }, options);
    if (undo === undefined || writer === undefined) return summary;
    await writer.finish(await file.size(), state.finish());
    options.signal?.throwIfAborted();
    // As for every writer: what a commit covers may be in the system's memory alone, and its record goes with the repair.
    for (const record of settled) await writeCoveredBlocks(file, record);
    // Once its journal is durable a repair is redone, whatever else of the file has been lost: so that is made durable first.
    await file.sync();
    for await (const lot of (await openUndoFile(undo)).lots()) {
      options.signal?.throwIfAborted();
      await carryOut(file, lot, sink, () => (begun = true));
    }
    return summary;
  } finally {
    await undo?.close();
    if (!begun) await place.remove();
  }
}

/** What taking a repair back came to. */
export interface UndoSummary {
  readonly file: string;
  /** Changes that were taken back. */
  readonly changes: number;
  /** Changes whose old bytes were there already. */
  readonly unchanged: number;
}

/**
 * Takes a repair back: in the place of each change there have to be its new bytes, or its old ones, where the repair,
 * or an earlier undo, was cut off. Else nothing is written.
 * @param file - opened for writing
 * @param undo - what the repair has made
 * @param sink - told what changes now: each change the other way round
 * @throws {@link PageStoreError} `NOT_AN_UNDO_FILE`, `UNDO_MISMATCH` for a file that has changed since, `JOURNAL_MISMATCH`, `IO`
 */
export async function undoRepair(
  file: BlockFile,
  undo: BlockFile,
  sink: Pick<RepairSink, 'change'>,
  options: Pick<RepairOptions, 'signal'> = {},
): Promise<UndoSummary> {
  const { lots, fileBytes, stateCrc, patchCount } = await openUndoFile(undo);
  await recoverJournal(file);
  const size = await file.size();
  if (size !== fileBytes) {
    throw mismatch(file, undo, `has ${size} bytes, and had ${fileBytes} when it was repaired`);
  }
  const state = await RepairedState.of(file);
  for await (const lot of lots()) {
    options.signal?.throwIfAborted();
    for (const patch of lot) {
      knownChange(patch);
      await state.add(patch);
    }
    const foreign = await firstForeignPatch(file, lot);
    if (foreign) throw mismatch(file, undo, `has changed at byte ${foreign.position} since it was repaired`);
  }
  if (state.finish() !== stateCrc) throw mismatch(file, undo, 'has been written to since it was repaired');
  let changes = 0;
  for await (const lot of lots()) {
    options.signal?.throwIfAborted();
    changes += await carryOut(file, lot.map(reversed), sink);
  }
  return { file: file.name, changes, unchanged: patchCount - changes };
}

function mismatch(file: BlockFile, undo: BlockFile, what: string): PageStoreError {
  const message = `the file ${what}: ${undo.name} is not of this state of it, and nothing was written`;
  return new PageStoreError('UNDO_MISMATCH', message, { file: file.name });
}

const reversed = ({ before, after, ...rest }: Patch): Patch => ({ ...rest, before: after, after: before });

/** Makes patches together, but for those that are made already, and reads them again. @returns how many were made */
async function carryOut(
  file: BlockFile,
  lot: readonly Patch[],
  sink: Pick<RepairSink, 'change'>,
  onBegin?: () => void,
): Promise<number> {
  const open: Patch[] = [];
  for (const patch of lot) if (!(await isMade(file, patch))) open.push(patch);
  if (open.length === 0) return 0;
  await applyPatches(file, open, onBegin);
  for (const patch of open) {
    if (!(await isMade(file, patch))) {
      const { position: offset } = patch;
      throw new PageStoreError('IO', `byte ${offset} does not read as it was written`, { file: file.name, offset });
    }
    await sink.change(knownChange(patch));
  }
  return open.length;
}

async function isMade(file: BlockFile, { position, after }: Patch): Promise<boolean> {
  const now = new Uint8Array(after.length);
  const bytes = await file.read(now, position);
  return Buffer.compare(now.subarray(0, bytes), after) === 0;
}

function knownChange(patch: Patch): Change {
  const change = changeOf(patch);
  if (change !== undefined) return change;
  throw new PageStoreError('NOT_AN_UNDO_FILE', `repair ${patch.kind} is of a newer version of this program`);
}
