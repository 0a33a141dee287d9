import {
  type BlockReport,
  type MovedRun,
  open,
  PageStoreError,
  recover,
  repair,
  undoRepair,
} from '../../../src/index.ts';
import { MemoryBlockFile } from '../../../src/testing.ts';
import { BlocksFile, isSameBytes, isSameState, type State } from './blocks-file.ts';
import type { Contents } from './history.ts';
import { isHarmed, orError, type Reading, readState, verifyState } from './reading.ts';

/** A file with a fault, and what a reader makes of it. */
export interface Damaged {
  readonly state: State;
  readonly contents: Contents;
  readonly reading: Reading;
  /** Whether its harm may go unnoticed: then it is not asked whether it is noticed later. */
  readonly isExcused: boolean;
}

export interface BrokenRule {
  readonly rule: string;
  readonly details: string;
}

export async function brokenRules(damaged: Damaged): Promise<BrokenRule[]> {
  return [...(await afterWriter(damaged)), ...(await afterRepair(damaged)), ...(await afterRecover(damaged))];
}

const NEW_NODE = Buffer.from('appended after the fault');

/** A writer takes nothing away, and hides nothing. */
async function afterWriter({ state, contents, reading, isExcused }: Damaged): Promise<BrokenRule[]> {
  const broken: BrokenRule[] = [];
  const file = new BlocksFile(state);
  const store = await orError(open(file));
  let ref: string | undefined;
  if (!(store instanceof PageStoreError)) {
    const appended = await orError(store.append(NEW_NODE));
    if (!(appended instanceof PageStoreError)) ref = `${appended.block}:${appended.slot}`;
    const closed = await orError(store.close());
    if (closed instanceof PageStoreError) broken.push({ rule: 'writer: it cannot be closed', details: closed.code });
  }
  const written = file.state();
  const what = store instanceof PageStoreError ? `it refuses with ${store.code}` : `it appends ${ref ?? 'nothing'}`;
  const after = await readState(written, contents);
  const gone = [...reading.intact].filter((each) => !after.intact.has(each));
  if (gone.length > 0)
    broken.push({ rule: 'writer: nodes that could be read before are gone', details: `${some(gone)}; ${what}` });
  if (ref !== undefined && !(await hasNode(written, ref)))
    broken.push({ rule: 'writer: the new node cannot be read', details: ref });
  if (ref !== undefined && isHarmed(reading) && !isExcused && isStillHarmed(after, ref)) {
    const { errors } = await verifyState(written);
    if (errors.length === 0)
      broken.push({ rule: 'writer: then verify finds no error', details: `${harmOf(after)}; ${what}` });
  }
  return broken;
}

async function hasNode(state: State, ref: string): Promise<boolean> {
  const [block, slot] = ref.split(':').map(Number) as [number, number];
  const store = await orError(open(new BlocksFile(state), { access: 'read' }));
  if (store instanceof PageStoreError) return false;
  const bytes = await orError(store.read({ block, slot }));
  await store.close();
  return !(bytes instanceof PageStoreError) && isSameBytes(bytes, NEW_NODE);
}

function isStillHarmed({ wrong, failed, strange }: Reading, appended: string): boolean {
  return wrong.length > 0 || failed.length > 0 || strange.some((ref) => ref !== appended);
}

/** Repair takes nothing away, forgets nothing, and can be undone. */
async function afterRepair({ state, contents, reading, isExcused }: Damaged): Promise<BrokenRule[]> {
  const broken: BrokenRule[] = [];
  const dryFile = new BlocksFile(state);
  const dry = await orError(repair(dryFile, { dryRun: true }));
  if (!isSameState(dryFile.state(), state)) broken.push({ rule: 'repair: a dry run writes to the file', details: '' });
  const file = new BlocksFile(state);
  const undo = new MemoryBlockFile();
  const place = { create: async () => undo, remove: async () => undefined };
  const report = await orError(repair(file, { undo: place }));
  const [planned, made] = [dry, report].map((each) => (each instanceof PageStoreError ? each.code : each.changes));
  if (planned !== made)
    broken.push({ rule: 'repair: it does something else than its dry run', details: `${planned} and ${made}` });
  const repaired = file.state();
  if (isSameState(repaired, state)) return broken;
  const after = await readState(repaired, contents);
  const gone = [...reading.intact].filter((ref) => !after.intact.has(ref));
  if (gone.length > 0) broken.push({ rule: 'repair: nodes that could be read before are gone', details: some(gone) });
  if (isHarmed(after) && !isExcused) {
    const { errors } = await verifyState(repaired);
    if (errors.length === 0) broken.push({ rule: 'repair: then verify finds no error', details: harmOf(after) });
  }
  const undone = await orError(undoRepair(file, undo));
  if (undone instanceof PageStoreError) broken.push({ rule: 'repair: it cannot be undone', details: undone.code });
  else if (!isSameState(file.state(), state))
    broken.push({ rule: 'repair: undo does not restore every byte', details: '' });
  return broken;
}

/** Recover calls nothing whole or sound that is not. */
async function afterRecover({ state, contents, isExcused }: Damaged): Promise<BrokenRule[]> {
  const broken: BrokenRule[] = [];
  const target = new MemoryBlockFile();
  const [blocks, moved]: [{ block: number; runs: ReturnType<typeof runsOf> }[], MovedRun[]] = [[], []];
  const report = await orError(
    recover(new BlocksFile(state), target, {
      onBlock: (each) => void blocks.push({ block: each.block, runs: runsOf(each) }),
      onMoved: (run) => void moved.push(run),
    }),
  );
  if (report instanceof PageStoreError)
    return report.code === 'NOT_A_PAGE_FILE' ? [] : [{ rule: 'recover: it fails', details: report.code }];
  const recovered = stateOf(target.bytes);
  const { errors } = await verifyState(recovered);
  if (errors.length > 0) broken.push({ rule: 'recover: the new file has errors', details: some(errors) });
  const after = await readState(recovered, contents);
  if (report.isWhole && isHarmed(after) && !isExcused)
    broken.push({ rule: 'recover: it says that the file is whole', details: harmOf(after) });
  // Sound is what some commit left; of the last commit only if the digest says so.
  if (!isExcused && report.digest === 'matches')
    broken.push(...(await falseSoundNodes(recovered, contents, blocks, moved)));
  return broken;
}

const runsOf = (report: BlockReport): { from: number; to: number; state: string }[] => [...report.runs()];

/** Nodes that are called sound, and are not those that were acknowledged. */
async function falseSoundNodes(
  recovered: State,
  contents: Contents,
  blocks: readonly { block: number; runs: ReturnType<typeof runsOf> }[],
  moved: readonly MovedRun[],
): Promise<BrokenRule[]> {
  const newRefs = new Map<string, { block: number; slot: number }>();
  for (const { block, slot, newBlock, newSlot, count } of moved)
    for (let n = 0; n < count; n++) newRefs.set(`${block}:${slot + n}`, { block: newBlock, slot: newSlot + n });
  const [wrong, freed]: [string[], string[]] = [[], []];
  const store = await open(new BlocksFile(recovered), { access: 'read' });
  for (const { block, runs } of blocks) {
    for (const { from, to, state } of runs) {
      if (state !== 'sound') continue;
      for (let slot = from; slot <= to; slot++) {
        const bytes = await store.view(newRefs.get(`${block}:${slot}`) ?? { block, slot });
        const node = contents.get(block)?.[slot];
        if (node === undefined) freed.push(`${block}:${slot}`);
        else if (!isSameBytes(bytes, node)) wrong.push(`${block}:${slot}`);
      }
    }
  }
  await store.close();
  const broken: BrokenRule[] = [];
  if (wrong.length > 0) broken.push({ rule: 'recover: sound nodes have other bytes', details: some(wrong) });
  if (freed.length > 0) broken.push({ rule: 'recover: sound nodes where none was acknowledged', details: some(freed) });
  return broken;
}

function stateOf(bytes: Uint8Array): State {
  const blocks: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += 262_144) blocks.push(bytes.subarray(at, at + 262_144));
  return { blocks, size: bytes.length };
}

export function harmOf({ wrong, failed, strange }: Reading): string {
  const parts = [
    wrong.length > 0 ? `other bytes at ${some(wrong)}` : '',
    failed.length > 0 ? `no node at ${some(failed)}` : '',
    strange.length > 0 ? `nodes at ${some(strange)} that are not acknowledged` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function some(items: readonly string[]): string {
  const rest = items.length > 3 ? ` and ${items.length - 3} more` : '';
  return items.slice(0, 3).join(', ') + rest;
}
