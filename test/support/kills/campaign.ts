import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommittedView } from '../../../src/disk/committed-view.ts';
import { openBlockFile } from '../../../src/disk/node-block-file.ts';
import { BLOCK_BYTES } from '../../../src/format/layout.ts';
import { PageStore } from '../../../src/store/page-store.ts';
import { random } from '../nodes.ts';
import { adopt, examine, verifyFaults } from './examine.ts';
import { blockOf, Ledger, refOf } from './ledger.ts';
import { nodeFor } from './payload.ts';
import { type Round, ROUNDS, someKeys } from './rounds.ts';
import { startCommand } from './victim.ts';

const LARGEST_FILE = 24 * 2 ** 20;
const ROUNDS_OF_A_FILE = 25;
const FORMATS = ['v1', 'v2'] as const;

/** What the kills have hit, by the state of the file before anybody recovered it. */
export interface Tally {
  rounds: number;
  refsChecked: number;
  acknowledged: number;
  unacknowledged: number;
  pendingRecord: number;
  journal: number;
  uncounted: number;
  leftToNextWriter: number;
  byKind: Record<string, number>;
}

interface Subject {
  readonly path: string;
  readonly ledger: Ledger;
  rounds: number;
}

/** Kills writers, round by round, and holds the files to what they had acknowledged. @throws at the first fault, with its seed and round */
export async function killWriters(
  rounds: number,
  seed: number,
  longestLifeMs: number,
  log: (line: string) => void = () => undefined,
): Promise<Tally> {
  const tally: Tally = {
    rounds: 0,
    refsChecked: 0,
    acknowledged: 0,
    unacknowledged: 0,
    pendingRecord: 0,
    journal: 0,
    uncounted: 0,
    leftToNextWriter: 0,
    byKind: {},
  };
  const next = random(seed);
  const folder = mkdtempSync(join(tmpdir(), 'artrie-pages-kills-'));
  const subjects = new Map<string, Subject>();
  let keep = false;
  try {
    for (let number = 0; number < rounds; number++) {
      const format = FORMATS[number % 2]!;
      const subject = await subjectFor(subjects, folder, format, number);
      const [name, run] = ROUNDS[Math.floor(next() * ROUNDS.length)]!;
      const lifeMs = 5 + Math.floor(next() * (longestLifeMs - 4));
      const before = acknowledgedNodes(subject.ledger);
      try {
        const round = { path: subject.path, ledger: subject.ledger, stream: number + 1, next, lifeMs };
        await run(round);
        await holdToIt(round, tally);
      } catch (error) {
        keep = true;
        const where = `seed ${seed}, round ${number}, ${format}, ${name}, ${lifeMs} ms, file ${subject.path}`;
        throw new Error(`${where}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
      }
      subject.rounds++;
      tally.rounds++;
      tally.byKind[name] = (tally.byKind[name] ?? 0) + 1;
      tally.acknowledged += acknowledgedNodes(subject.ledger) - before;
      const mib = (statSync(subject.path).size / 2 ** 20).toFixed(1);
      log(`round ${number} ${format} ${name}, ${lifeMs} ms: ${subject.ledger.nodeCount} nodes, ${mib} MiB`);
    }
  } finally {
    if (!keep) rmSync(folder, { recursive: true, force: true });
  }
  tally.acknowledged -= tally.unacknowledged;
  return tally;
}

async function subjectFor(
  subjects: Map<string, Subject>,
  folder: string,
  format: 'v1' | 'v2',
  number: number,
): Promise<Subject> {
  const last = subjects.get(format);
  if (last && last.rounds < ROUNDS_OF_A_FILE && statSync(last.path).size < LARGEST_FILE) return last;
  if (last) rmSync(last.path);
  const path = join(folder, `${number}-${format}.part`);
  await (await PageStore.create(path, { pageFormat: format })).close();
  const subject = { path, ledger: new Ledger(), rounds: 0 };
  subjects.set(format, subject);
  return subject;
}

async function holdToIt({ path, ledger, stream, next }: Round, tally: Tally): Promise<void> {
  await countWhatIsLeft(path, tally);
  const keys = someKeys(ledger, next, 20);
  assertNone(await verifyFaults(path, false));
  const before = await examine(path, ledger, stream);
  assertNone(before.faults);
  if (next() < 0.25) await readByCommand(path, ledger, keys);
  tally.refsChecked += before.refs;
  tally.unacknowledged += before.extra.size;
  await adopt(path, ledger, before);
  if (next() < 0.25) {
    // The next writer finds it as it is, and may be killed while it recovers the file.
    tally.leftToNextWriter++;
    return;
  }
  const store = await PageStore.open(path);
  await store.close();
  assertNone(await verifyFaults(path, true));
  if (existsSync(`${path}.journal`)) throw new Error('the journal is still there after a writer has opened the file');
  const after = await examine(path, ledger, stream);
  assertNone(after.faults);
  if (after.extra.size > 0) throw new Error(`recovery added ${after.extra.size} nodes that no reader saw before it`);
  tally.refsChecked += after.refs;
}

async function countWhatIsLeft(path: string, tally: Tally): Promise<void> {
  const file = await openBlockFile(path, 'read');
  try {
    const view = await CommittedView.open(file);
    if (view.recovery.pendingRecords.length > 0) tally.pendingRecord++;
    if (existsSync(`${path}.journal`)) tally.journal++;
    if ((await view.size()) > (await view.readFileHeader()).blockCount * BLOCK_BYTES) tally.uncounted++;
  } finally {
    await file.close();
  }
}

/** Reads nodes through the command line. */
async function readByCommand(path: string, ledger: Ledger, keys: readonly number[]): Promise<void> {
  const sound = keys.filter((key) => !ledger.doomed.has(blockOf(key)) && ledger.at(key) !== undefined);
  if (sound.length === 0) return;
  const reading = startCommand(['read', path, ...sound.map(refOf), '--encoding', 'hex']);
  await reading.finish();
  const lines = reading.takeLines();
  for (const [at, key] of sound.entries()) {
    const { version, intended, ...node } = ledger.at(key)!;
    const allowed = [version, intended].map((each) => nodeFor({ ...node, version: each }).toString('hex'));
    if (!allowed.includes(lines[at] ?? ''))
      throw new Error(`read ${refOf(key)} printed another node: ${reading.stderr}`);
  }
}

function acknowledgedNodes(ledger: Ledger): number {
  let count = 0;
  for (const nodes of ledger.acknowledged.values()) count += nodes;
  return count;
}

function assertNone(faults: readonly string[]): void {
  if (faults.length > 0) throw new Error(`${faults.length} faults: ${faults.slice(0, 5).join('; ')}`);
}
