import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { PageStoreError } from '../../../src/errors.ts';
import { nodeOf } from '../../../src/format/page.ts';
import { PageStore } from '../../../src/store/page-store.ts';
import { random } from '../nodes.ts';
import type { VerifyRun } from '../verifier-child.ts';
import { examine, verifyFaults } from './examine.ts';
import { blockOf, Ledger, refOf } from './ledger.ts';
import { payloadOf } from './payload.ts';
import { someKeys } from './rounds.ts';
import { startVerifier, startWriter } from './victim.ts';

/** What went on while a writer was at work, and what of it was wrong. */
export interface ReadersTally {
  appended: number;
  updated: number;
  freed: number;
  verifyRuns: number;
  /** Runs of verify during which a commit was made. */
  verifyRunsChanged: number;
  /** Findings of severity info, by code. */
  infos: Record<string, number>;
  /** Reads through a store that stays open, and through one opened for a few reads. */
  reads: number;
  freshReads: number;
  /** Walks over all pages, and the nodes on them. */
  walks: number;
  walkedNodes: number;
  readonly faults: string[];
}

/** Appends, large and small ones, and updates. */
export const GROWING = 'append,together,many,large,update,overlap,rest';
/** The same, with blocks that are freed and used again. */
export const REUSING = `${GROWING},free,allocate`;

const STREAM = 1;
const LONGEST_MEETING_MS = 30_000;

/**
 * Lets readers of all kinds loose on a file that another process writes to.
 * @param milliseconds - for so long, and until they have met each other: on a machine with other work that takes longer
 */
export async function readDuringWrites(
  format: 'v1' | 'v2',
  kinds: string,
  milliseconds: number,
  seed: number,
): Promise<ReadersTally> {
  const folder = mkdtempSync(join(tmpdir(), 'artrie-pages-readers-'));
  try {
    const path = join(folder, 'file.part');
    await (await PageStore.create(path, { pageFormat: format })).close();
    return await new Readers(path, random(seed)).run(kinds, milliseconds, seed);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

class Readers {
  readonly #path: string;
  readonly #next: () => number;
  readonly #ledger = new Ledger();
  /** Reads that are faults unless the writer turns out to have freed the block meanwhile. */
  readonly #suspects: { readonly block: number; readonly fault: string }[] = [];
  /** Walks that met too few nodes: no fault where blocks were freed. */
  readonly #short: string[] = [];
  readonly #tally: ReadersTally = {
    appended: 0,
    updated: 0,
    freed: 0,
    verifyRuns: 0,
    verifyRunsChanged: 0,
    infos: {},
    reads: 0,
    freshReads: 0,
    walks: 0,
    walkedNodes: 0,
    faults: [],
  };

  constructor(path: string, next: () => number) {
    this.#path = path;
    this.#next = next;
  }

  async run(kinds: string, milliseconds: number, seed: number): Promise<ReadersTally> {
    const writer = startWriter(this.#path, STREAM, seed, kinds);
    const hear = async (): Promise<void> => {
      // Lines are taken in between reads, never during one: what was said of it before then holds.
      await setImmediate();
      for (const line of writer.takeLines()) this.#take(line);
    };
    await writer.firstWord(20_000);
    const verifier = startVerifier(this.#path);
    const longLived = await PageStore.open(this.#path, { access: 'read' });
    const end = performance.now() + milliseconds;
    let turn = 0;
    const goesOn = (): boolean => {
      const now = performance.now();
      return now < end || (now < end + LONGEST_MEETING_MS && !this.#hasMet);
    };
    while (goesOn() && writer.isRunning && this.#tally.faults.length < 5) {
      await hear();
      for (const line of verifier.takeLines()) this.#takeVerifyRun(JSON.parse(line) as VerifyRun);
      await this.#guard('a store that stays open', () => this.#readLongLived(longLived));
      await this.#guard('a fresh store', () => this.#readFresh());
      if (turn++ % 8 === 0) await this.#guard('a walk over all pages', () => this.#walk(longLived));
    }
    await longLived.close();
    if (!writer.isRunning) this.#tally.faults.push(`the writer ended: ${writer.stderr}`);
    if ((await writer.finish()) !== 0) this.#tally.faults.push(`the writer failed: ${writer.stderr}`);
    await verifier.finish();
    if (verifier.stderr !== '') this.#tally.faults.push(`the verifier failed: ${verifier.stderr}`);
    await hear();
    for (const { block, fault } of this.#suspects) {
      if (!this.#ledger.everFreed.has(block)) this.#tally.faults.push(fault);
    }
    if (this.#tally.freed === 0) this.#tally.faults.push(...this.#short);
    for (const line of verifier.takeLines()) this.#takeVerifyRun(JSON.parse(line) as VerifyRun);
    const { faults } = await examine(this.#path, this.#ledger, STREAM);
    this.#tally.faults.push(...faults, ...(await verifyFaults(this.#path, true)));
    return this.#tally;
  }

  get #hasMet(): boolean {
    const { appended, verifyRunsChanged, reads, freshReads, walkedNodes } = this.#tally;
    return appended > 100 && Math.min(verifyRunsChanged, reads, freshReads, walkedNodes) > 0;
  }

  #take(line: string): void {
    if (line === 'ready') return;
    this.#ledger.takeLine(line, STREAM);
    if (line.startsWith('A')) this.#tally.appended = this.#ledger.acknowledged.get(STREAM) ?? 0;
    if (line.startsWith('U')) this.#tally.updated++;
    if (line.startsWith('F')) this.#tally.freed++;
  }

  #takeVerifyRun({ changed, findings, failure }: VerifyRun): void {
    this.#tally.verifyRuns++;
    if (changed) this.#tally.verifyRunsChanged++;
    if (failure !== undefined) this.#tally.faults.push(`verify failed: ${failure}`);
    for (const finding of findings) {
      const [severity, code = ''] = finding.split(/[ :]/);
      if (severity === 'info') this.#tally.infos[code] = (this.#tally.infos[code] ?? 0) + 1;
      else this.#tally.faults.push(`verify found ${finding}`);
    }
  }

  /** A page that a store keeps may be of any moment since the store was opened. */
  async #readLongLived(store: PageStore): Promise<void> {
    for (const key of this.#keys(20)) {
      await this.#readOne(store, key, 0);
      this.#tally.reads++;
    }
  }

  /** What was acknowledged before the store was opened has to be there. */
  async #readFresh(): Promise<void> {
    const keys = this.#keys(8);
    const store = await PageStore.open(this.#path, { access: 'read' });
    try {
      for (const key of keys) {
        await this.#readOne(store, key, this.#ledger.at(key)!.version);
        this.#tally.freshReads++;
      }
    } finally {
      await store.close();
    }
  }

  /** Places that no free of the writer can have touched, as far as it has told by now. */
  #keys(count: number): number[] {
    return someKeys(this.#ledger, this.#next, count).filter((key) => !this.#ledger.everFreed.has(blockOf(key)));
  }

  async #readOne(store: PageStore, key: number, leastVersion: number): Promise<void> {
    const [block, slot] = refOf(key).split(':').map(Number);
    const entry = this.#ledger.at(key)!;
    let bytes: Uint8Array;
    try {
      bytes = await store.read({ block: block!, slot: slot! });
    } catch (error) {
      const fault = `${refOf(key)}: ${String(error)}`;
      // A block may have been freed since, and be a page again with fewer nodes.
      const mayBe = error instanceof PageStoreError && (error.code === 'BLOCK_FREE' || error.code === 'SLOT_RANGE');
      if (mayBe) this.#suspects.push({ block: block!, fault });
      else this.#tally.faults.push(fault);
      return;
    }
    const payload = payloadOf(bytes);
    if (payload === undefined) this.#tally.faults.push(`${refOf(key)} was read torn`);
    else if (payload.index !== entry.index || payload.version < leastVersion) {
      const fault = `${refOf(key)} was read as node ${payload.index} in version ${payload.version}, not ${entry.index} in ${leastVersion} or later`;
      this.#suspects.push({ block: block!, fault });
    }
  }

  async #walk(longLived: PageStore): Promise<void> {
    await this.#walkThrough(longLived);
    const acknowledged = this.#ledger.nodeCount;
    const store = await PageStore.open(this.#path, { access: 'read' });
    try {
      const nodes = await this.#walkThrough(store);
      if (nodes < acknowledged) this.#short.push(`a walk met ${nodes} nodes of ${acknowledged} acknowledged before`);
    } finally {
      await store.close();
    }
  }

  /** @returns the nodes that there were */
  async #walkThrough(store: PageStore): Promise<number> {
    let last = 0;
    let nodes = 0;
    for await (const { block, page } of store.pages()) {
      if (block <= last) this.#tally.faults.push(`block ${block} came after block ${last}`);
      last = block;
      for (let slot = 0; slot < page.directory.count; slot++) {
        if (payloadOf(nodeOf(page, slot)) === undefined) this.#tally.faults.push(`${block}:${slot} was walked torn`);
      }
      nodes += page.directory.count;
    }
    this.#tally.walks++;
    this.#tally.walkedNodes += nodes;
    return nodes;
  }

  async #guard(what: string, read: () => Promise<void>): Promise<void> {
    try {
      await read();
    } catch (error) {
      this.#tally.faults.push(
        `${what} failed: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`,
      );
    }
  }
}
