import type { BlockFile } from '../../src/disk/block-file.ts';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { nodeOf } from '../../src/format/page.ts';
import { recover } from '../../src/recover/recover.ts';
import type { BlockReport, MovedRun, RecoverOptions, RecoverReport } from '../../src/recover/report.ts';
import type { SlotRun, SlotState } from '../../src/salvage/page-slots.ts';
import { PageStore } from '../../src/store/page-store.ts';
import { hexOf } from './nodes.ts';
import { verifyAll } from './verify.ts';

/** What a block report says once its runs have been read. */
export interface KeptReport extends Omit<BlockReport, 'runs'> {
  readonly runs: readonly SlotRun[];
}

export interface Recovered {
  /** The new file. */
  readonly bytes: Uint8Array;
  readonly summary: RecoverReport;
  readonly blocks: readonly KeptReport[];
  readonly moved: readonly MovedRun[];
  /** The nodes of the new file, in hex, by the refs that they had in the old one; lost ones are left out. */
  readonly nodes: ReadonlyMap<string, { readonly hex: string; readonly state: SlotState }>;
  /** What verify finds wrong with the new file. */
  readonly errors: readonly string[];
}

/** Recovers bytes or a file to memory, and keeps all that is said of it. */
export async function recoverAll(source: Uint8Array | BlockFile, options?: RecoverOptions): Promise<Recovered> {
  const file = source instanceof Uint8Array ? new MemoryBlockFile(source) : source;
  const target = new MemoryBlockFile();
  const blocks: KeptReport[] = [];
  const moved: MovedRun[] = [];
  const summary = await recover(file, target, {
    onBlock: (report) => void blocks.push({ ...report, runs: [...report.runs()] }),
    onMoved: (run) => void moved.push(run),
    ...options,
  });
  const bytes = target.bytes.slice();
  const { findings } = await verifyAll(bytes);
  const errors = findings.filter(({ severity }) => severity === 'error').map(({ message }) => message);
  return { bytes, summary, blocks, moved, nodes: await nodesByOldRef(bytes, blocks, moved), errors };
}

/** The nodes of a file, in hex, by their refs. */
export async function nodesByRef(bytes: Uint8Array): Promise<Map<string, string>> {
  const store = await PageStore.open(new MemoryBlockFile(bytes), { access: 'read' });
  const nodes = new Map<string, string>();
  for await (const { block, page } of store.pages()) {
    for (let slot = 0; slot < page.directory.count; slot++) nodes.set(`${block}:${slot}`, hexOf(nodeOf(page, slot)));
  }
  await store.close();
  return nodes;
}

async function nodesByOldRef(
  bytes: Uint8Array,
  blocks: readonly KeptReport[],
  moved: readonly MovedRun[],
): Promise<Map<string, { hex: string; state: SlotState }>> {
  const newRefs = new Map<string, string>();
  for (const { block, slot, newBlock, newSlot, count } of moved) {
    for (let n = 0; n < count; n++) newRefs.set(`${block}:${slot + n}`, `${newBlock}:${newSlot + n}`);
  }
  const all = await nodesByRef(bytes);
  const nodes = new Map<string, { hex: string; state: SlotState }>();
  for (const { block, runs } of blocks) {
    for (const { from, to, state } of runs) {
      if (state === 'lost') continue;
      for (let slot = from; slot <= to; slot++) {
        const hex = all.get(newRefs.get(`${block}:${slot}`) ?? `${block}:${slot}`);
        if (hex === undefined) throw new Error(`${block}:${slot} is said to be taken, and is not in the new file`);
        nodes.set(`${block}:${slot}`, { hex, state });
      }
    }
  }
  return nodes;
}
