import { FaultyBlockFile } from '../../../src/disk/faulty-block-file.ts';
import { MemoryBlockFile } from '../../../src/disk/block-file.ts';
import { PageStoreError } from '../../../src/errors.ts';
import type { Finding } from '../../../src/verify/verify.ts';
import { verify } from '../../../src/verify/verify.ts';
import type { GoodFile } from './good-files.ts';
import { type Kind, KINDS, mutate, type Mutation } from './mutate.ts';
import { demandsOf, mayBeNoPageFile, unmet } from './oracle.ts';

const BLOCK = 262_144;

/** What became of the mutations of one kind. */
export interface Tally {
  mutations: number;
  /** Those that have changed committed bytes or the size, and were found; a file that was refused is one. */
  found: number;
  /** Those that have changed nothing which the format lets anybody tell. */
  notCommitted: number;
  maxReads: number;
}

export interface MutationReport {
  readonly tallies: Readonly<Record<Kind, Tally>>;
  /** A line for each failure: what was mutated, how, and what is wrong with what verify did. */
  readonly failures: string[];
}

/** A further check of a mutated file, such as one of a command that reads it. @returns what is wrong, if anything */
export type Check = (mutation: Mutation) => Promise<string | undefined>;

/**
 * The most reads that a verify may take of a file of so many blocks, begun ones counted: for block 0 and what is said of it
 * 40; for each block four (itself, and where it is not sound once more, after a look at block 0 as it is by then, which takes
 * two), and one where it is behind the blocks that are counted; and where the magic of the file is lost, looks for the first
 * page each time.
 */
export function readBound(fileBytes: number, magicIsLost: boolean): number {
  const blocks = Math.ceil(fileBytes / BLOCK);
  const looks = magicIsLost ? 2 * Math.min(blocks, 16) : 0;
  return 40 + 5 * blocks + (blocks + 4) * looks;
}

/** The mutation with a number: that of a seed is always the same. */
export function mutationOf(files: readonly GoodFile[], seed: number, index: number): Mutation {
  const kind = KINDS[index % KINDS.length] as Kind;
  const file = files[Math.floor(index / KINDS.length) % files.length] as GoodFile;
  return mutate(file, kind, Math.imul(seed, 0x9e37_79b1) ^ Math.imul(index + 1, 0x85eb_ca6b));
}

/** Makes mutations `from` to `from + count - 1` of a seed, and judges what verify finds in each. */
export async function runMutations(
  files: readonly GoodFile[],
  { seed, from = 0, count, checks = [] }: { seed: number; from?: number; count: number; checks?: readonly Check[] },
): Promise<MutationReport> {
  const failures: string[] = [];
  const tallies = Object.fromEntries(
    KINDS.map((kind) => [kind, { mutations: 0, found: 0, notCommitted: 0, maxReads: 0 }]),
  ) as Record<Kind, Tally>;
  for (let index = from; index < from + count; index++) {
    const mutation = mutationOf(files, seed, index);
    const fail = (what: string): void => {
      const how = JSON.stringify(mutation.edits).slice(0, 400);
      failures.push(`--seed ${seed} --only ${index}: ${mutation.kind} of ${mutation.file.name} ${how}: ${what}`);
    };
    await judge(mutation, tallies[mutation.kind], fail);
    for (const check of checks) {
      const wrong = await check(mutation);
      if (wrong !== undefined) fail(wrong);
    }
  }
  return { tallies, failures };
}

async function judge(mutation: Mutation, tally: Tally, fail: (what: string) => void): Promise<void> {
  tally.mutations++;
  const file = new FaultyBlockFile(new MemoryBlockFile(mutation.bytes));
  const findings: Finding[] = [];
  let refused = false;
  try {
    await verify(file, { onFinding: (finding) => void findings.push(finding) });
  } catch (error) {
    refused = error instanceof PageStoreError && error.code === 'NOT_A_PAGE_FILE' && mayBeNoPageFile(mutation);
    if (!refused) fail(`verify throws ${String(error)}`);
  }
  const reads = file.count('read');
  tally.maxReads = Math.max(tally.maxReads, reads);
  const bound = readBound(mutation.bytes.length, mayBeNoPageFile(mutation));
  if (reads > bound) fail(`${reads} reads, at most ${bound} are allowed`);
  const demands = demandsOf(mutation);
  if (demands.length === 0) {
    tally.notCommitted++;
    return;
  }
  const missed = refused ? [] : unmet(demands, findings);
  if (missed.length === 0) tally.found++;
  for (const { least, why } of missed) {
    const found = findings.map(({ severity, code, block }) => `${severity} ${code} ${block}`).join(', ') || 'nothing';
    fail(`no ${least} for ${why}; found: ${found}`);
  }
}
