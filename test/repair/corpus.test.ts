import { describe, expect, test } from 'vitest';
import { recoverJournal } from '../../src/disk/journal.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { PageStoreError } from '../../src/errors.ts';
import { BLOCK_BYTES } from '../../src/format/layout.ts';
import { repair, type RepairOptions, type UndoPlace, undoRepair } from '../../src/repair/repair.ts';
import type { Change, LeftProblem } from '../../src/repair/repairs.ts';
import type { Finding } from '../../src/verify/verify.ts';
import { type DamagedFile, loadCorpus } from '../support/corpus.ts';
import { hexOf } from '../support/nodes.ts';
import { briefChange } from '../support/repair.ts';
import { specBlockNodes } from '../support/spec-reader.ts';
import { verifyAll } from '../support/verify.ts';

/** The errors with which a repair refuses a file. */
const REFUSALS: ReadonlySet<string> = new Set(['NOT_A_PAGE_FILE', 'FILE_HEADER_VERSION', 'JOURNAL_MISMATCH']);

/** The next step of a finding that a repair fixes. */
const REPAIR = 'artrie-pages repair --dry-run ';

async function fileOf(damaged: DamagedFile): Promise<MemoryBlockFile> {
  const file = new MemoryBlockFile(damaged.bytes());
  const journal = damaged.journalBytes();
  if (journal) await file.journal.write(journal);
  return file;
}

const placeOf = (undo: MemoryBlockFile): UndoPlace => ({
  create: async () => undo,
  remove: async () => undefined,
});

function collector(): { changes: Change[]; left: LeftProblem[]; sink: Pick<RepairOptions, 'onChange' | 'onLeft'> } {
  const [changes, left]: [Change[], LeftProblem[]] = [[], []];
  return {
    changes,
    left,
    sink: { onChange: (each) => void changes.push(each), onLeft: (each) => void left.push(each) },
  };
}

const whole = (change: Change): string => `${briefChange(change)} ${hexOf(change.before)} ${hexOf(change.after)}`;

/** Runs a repair; undefined where it is refused as it should be. */
async function orRefusal<T>(run: Promise<T>): Promise<T | undefined> {
  return run.catch((error: unknown) => {
    expect(error).toBeInstanceOf(PageStoreError);
    expect(REFUSALS).toContain((error as PageStoreError).code);
    return undefined;
  });
}

/** Repairs the file until no other run is needed. @returns the problems that the last run left */
async function repairAll(file: MemoryBlockFile): Promise<LeftProblem[]> {
  for (let run = 0; run < 3; run++) {
    const { left, sink } = collector();
    const undo = new MemoryBlockFile();
    const { again } = await repair(file, { undo: placeOf(undo), ...sink });
    if (!again) return left;
  }
  throw new Error('a third run still asks for another');
}

/** Expects each node of a page in which verify finds no error at its ref, as another reader than ours reads it. */
function expectSameNodes(before: Uint8Array, after: Uint8Array, findings: readonly Finding[]): void {
  const damaged = new Set(findings.filter(({ severity }) => severity === 'error').map(({ block }) => block));
  for (let block = 1; block < Math.floor(before.length / BLOCK_BYTES); block++) {
    const [then, now] = [before, after].map((bytes) =>
      Buffer.from(bytes.buffer, bytes.byteOffset + block * BLOCK_BYTES, BLOCK_BYTES),
    );
    if (damaged.has(block) || !then!.toString('latin1', 0, 7).startsWith('BYTARA')) continue;
    const nodes = specBlockNodes(now!, block);
    for (const { ref, bytes } of specBlockNodes(then!, block)) {
      expect(hexOf(nodes.find((node) => node.ref === ref)!.bytes)).toBe(hexOf(bytes));
    }
  }
}

describe.each(loadCorpus())('$name', (damaged) => {
  test('is repaired as far as possible, and loses nothing', async () => {
    const dry = collector();
    const planned = await orRefusal(repair(await fileOf(damaged), { dryRun: true, ...dry.sink }));
    const file = await fileOf(damaged);
    // Findings are those that a writer would have: it completes a journal first.
    const found = damaged.error === undefined ? (await verifyAll(file)).findings : [];
    const [real, undo] = [collector(), new MemoryBlockFile()];
    const summary = await orRefusal(repair(file, { undo: placeOf(undo), ...real.sink }));
    expect(summary).toEqual(planned);
    if (summary === undefined) return;
    expect(real.changes.map(whole)).toEqual(dry.changes.map(whole));
    expect(real.left).toEqual(dry.left);

    const asks = found.filter(({ next }) => next.startsWith(REPAIR) && !next.includes('--stale-checksums'));
    if (asks.length > 0) expect(real.changes.map(briefChange)).not.toEqual([]);

    const before = await fileOf(damaged);
    // A journal is completed first, which no undo file undoes.
    await recoverJournal(before);
    if (real.changes.length > 0) {
      const taken = new MemoryBlockFile(file.bytes.slice());
      await undoRepair(taken, undo);
      expect(Buffer.compare(taken.bytes, before.bytes)).toBe(0);
    }
    expectSameNodes(before.bytes, file.bytes, found);

    const left = summary.again ? await repairAll(file) : real.left;
    const errors = (await verifyAll(file)).findings.filter(({ severity }) => severity === 'error');
    const isHeaderLost = left.some(({ code }) => code.startsWith('FILE_HEADER_'));
    for (const { code, block = 0 } of errors) {
      // If the header is lost, nothing else of block 0 is known, nor which blocks are free.
      if (isHeaderLost && (block === 0 || code === 'BLOCK_UNKNOWN')) continue;
      expect(left.map((problem) => problem.block ?? 0)).toContain(block);
    }
    const size = file.bytes.length;
    const again = collector();
    await repair(file, { undo: placeOf(undo), ...again.sink });
    expect(again.changes.map(briefChange)).toEqual([]);
    expect(file.bytes.length).toBe(size);
  });
});
