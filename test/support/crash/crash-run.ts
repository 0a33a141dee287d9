import { PageStore } from '../../../src/store/page-store.ts';
import { PageStoreError } from '../../../src/errors.ts';
import type { BlockFile } from '../../../src/disk/block-file.ts';
import type { PageFormat } from '../../../src/format/page-header.ts';
import { COMMIT_SLOT_BYTES } from '../../../src/format/commit-record.ts';
import { FILE_START_BYTES } from '../../../src/format/digest.ts';
import { encodeFileHeader, encodeHeaderCopy, FILE_HEADER } from '../../../src/format/file-header.ts';
import { COMMIT_RECORD_OFFSETS, HEADER_COPY_OFFSET } from '../../../src/format/layout.ts';
import { sealDigest } from '../digest.ts';
import { random as newRandom } from '../nodes.ts';
import { CrashDisk, type DiskState, StateFile } from './crash-disk.ts';
import { statesOf } from './crash-states.ts';
import { contentsIn, contentsOf, judgeState } from './judge-state.ts';
import { type Contents, Oracle, textOf } from './oracle.ts';
import { type ScriptAction, ScriptRunner } from './script.ts';

export interface CrashOptions {
  readonly seed: number;
  readonly pageFormat: PageFormat;
  /** Actions in the script. */
  readonly actions: number;
  /** The script, if it is not one of random actions. */
  readonly script?: readonly ScriptAction[];
  /** Whether the file begins with a node that its header does not count, so that no append changes the file header. */
  readonly isUncounted?: boolean;
  /** One of so many states is gone on from: crash, recover, append, crash again. 0 for none. */
  readonly goOnFromOneIn: number;
  /** Stands between the store and the disk, to break the protocol. */
  readonly between?: (disk: CrashDisk) => BlockFile;
  /** Changes a state before it is judged, to break recovery. */
  readonly spoil?: (state: DiskState) => void;
  /** Failures after which no more states are judged. */
  readonly mostFailures?: number;
}

export interface CrashReport {
  /** Different states that were judged. */
  states: number;
  /** States from which a second run was begun. */
  secondRuns: number;
  /** Syncs that were made to fail, after which the file was opened again. */
  failedSyncs: number;
  readonly failures: string[];
}

/** Runs a script on a crash disk and judges the states that a power cut at each operation may leave. */
export async function runCrashes(options: CrashOptions): Promise<CrashReport> {
  const run = new CrashRun(options);
  await run.start();
  return run.report;
}

/** Appends a node, and makes the header one that counts no nodes. */
async function withoutCount(store: PageStore, disk: CrashDisk, file: BlockFile, oracle: Oracle): Promise<PageStore> {
  const node = Buffer.from('uncounted');
  await store.append(node);
  oracle.acknowledge((contents) => contents.get(1)?.push(textOf(node)));
  await store.close();
  const start = new Uint8Array(FILE_START_BYTES);
  await disk.read(start, 0);
  start.set(encodeFileHeader({ ...FILE_HEADER.read(start), entryCount: 0n }));
  sealDigest(start);
  await disk.write(start, 0);
  await disk.write(encodeHeaderCopy(start), HEADER_COPY_OFFSET);
  for (const offset of COMMIT_RECORD_OFFSETS) await disk.write(new Uint8Array(COMMIT_SLOT_BYTES), offset);
  await disk.sync();
  return PageStore.open(file);
}

class CrashRun {
  readonly report: CrashReport = { states: 0, secondRuns: 0, failedSyncs: 0, failures: [] };
  readonly #options: CrashOptions;
  readonly #random: () => number;

  constructor(options: CrashOptions) {
    this.#options = options;
    this.#random = newRandom(options.seed);
  }

  async start(): Promise<void> {
    const disk = new CrashDisk();
    const oracle = new Oracle();
    const file = this.#options.between?.(disk) ?? disk;
    let store = await PageStore.create(file, { pageFormat: this.#options.pageFormat });
    oracle.acknowledge((contents) => contents.set(1, []));
    if (this.#options.isUncounted === true) store = await withoutCount(store, disk, file, oracle);
    const goOn = this.#options.goOnFromOneIn > 0;
    disk.afterOperation = () => this.#explore(disk, oracle, 'first', goOn);
    await disk.afterOperation();
    await this.#script(store, file, disk, oracle, this.#options.actions);
  }

  async #script(store: PageStore, file: BlockFile, disk: CrashDisk, oracle: Oracle, actions: number): Promise<void> {
    const runner = new ScriptRunner(store, oracle, this.#random, this.#options.pageFormat);
    for (let each = 0; each < actions; each++) {
      if (this.#random() * 10 < 1) this.#failSync(disk, 3);
      try {
        await runner.act(this.#options.script?.[each]);
      } catch (error) {
        if (disk.failSync || !(error instanceof PageStoreError && error.detail.errno === 'EIO')) throw error;
        await this.#reopen(runner, file, oracle);
      }
      disk.failSync = undefined;
    }
    await runner.store.close();
  }

  /** Makes one of the next syncs fail, with a part of what it was to sync on the disk. */
  #failSync(disk: CrashDisk, among: number): void {
    const share = this.#random();
    disk.failSync = () => this.#random() < share;
    disk.syncsBeforeFailure = Math.floor(this.#random() * among);
  }

  /** After a sync that failed, a new store sees what was acknowledged, and no more than may have been done. */
  async #reopen(runner: ScriptRunner, file: BlockFile, oracle: Oracle): Promise<void> {
    this.report.failedSyncs++;
    await runner.store.close();
    const store = await PageStore.open(file);
    const found = await contentsIn(store);
    this.#note(oracle.judge(found), 'reopened', oracle);
    oracle.fail(found);
    runner.continueIn(store);
  }

  readonly #seen = new Set<string>();

  async #explore(disk: CrashDisk, oracle: Oracle, run: string, goOn: boolean): Promise<void> {
    const goOnFrom: DiskState[] = [];
    for (const state of statesOf(disk, this.#seen, `${run}/${oracle.version}`, this.#random)) {
      if (this.report.failures.length >= (this.#options.mostFailures ?? 20)) return;
      this.report.states++;
      this.#options.spoil?.(state);
      const chosen = goOn && this.#random() * this.#options.goOnFromOneIn < 1;
      if (chosen) goOnFrom.push({ image: state.image.copy(), journal: state.journal });
      this.#note(await judgeState(state, oracle), run, oracle);
    }
    for (const state of goOnFrom) await this.#goOn(new CrashDisk(state), oracle);
    // A process that is killed leaves what it wrote to the system, synced or not.
    if (goOn && this.#random() * 8 < 1) await this.#goOn(disk.fork(), oracle);
  }

  /** A second process opens what a crash left: crashes while it recovers, then while it goes on. */
  async #goOn(disk: CrashDisk, oracle: Oracle): Promise<void> {
    const run = `second ${++this.report.secondRuns}`;
    const file = this.#options.between?.(disk) ?? disk;
    disk.afterOperation = () => this.#explore(disk, oracle, `${run} recovering`, false);
    let contents: Contents;
    let store: PageStore;
    try {
      if (this.#random() * 3 < 1) await this.#failRecovery(disk, file);
      store = await PageStore.open(file);
      contents = await contentsOf(
        new StateFile({ image: disk.imageAfter(() => true, true), journal: undefined }),
        'read',
      );
    } catch (error) {
      this.#note(String(error), run, oracle);
      return;
    }
    // What it found is what it and everybody after it has to find again.
    const second = new Oracle(contents);
    disk.afterOperation = () => this.#explore(disk, second, run, false);
    await this.#script(store, file, disk, second, 3);
  }

  /** A writer that ends because a sync of its recovery fails. */
  async #failRecovery(disk: CrashDisk, file: BlockFile): Promise<void> {
    this.#failSync(disk, 5);
    try {
      await (await PageStore.open(file)).close();
    } catch (error) {
      if (disk.failSync || !(error instanceof PageStoreError && error.detail.errno === 'EIO')) throw error;
      this.report.failedSyncs++;
    }
    disk.failSync = undefined;
  }

  #note(wrong: string | undefined, run: string, oracle: Oracle): void {
    if (wrong === undefined) return;
    const { seed, pageFormat } = this.#options;
    this.report.failures.push(`seed ${seed} ${pageFormat}, ${run} run, during ${oracle.underWay.kind}: ${wrong}`);
  }
}
