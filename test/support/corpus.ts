import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { applyEdits, type Edit } from './damaged/edits.ts';
import { FIXTURES, GOLDEN } from './files.ts';

/** Where the recipes of damaged files are. */
export const DAMAGED: string = join(FIXTURES, 'damaged');

/** A damaged file as it is committed: a base, and what is done to it. */
export interface Recipe {
  /** What has happened to the file, in a sentence or two. */
  readonly description: string;
  /** A page file in fixtures/damaged/bases, or `golden/NAME` for one that libdictenstein wrote. */
  readonly base: string;
  readonly edits: readonly Edit[];
  /** What lies beside the file under the name of its journal: edits of a base in fixtures/damaged/bases. */
  readonly journal?: { readonly base: string; readonly edits: readonly Edit[] };
  /** Options of `verify` that it takes to see the damage. */
  readonly options?: readonly string[];
  /**
   * Every finding above `info`, and each `info` that matters, in any order: `severity CODE block[:slot] @offset`.
   * Written by hand, from the description of the format.
   */
  readonly expect: readonly string[];
  /** The code of the error where the file is no page file at all: then there are no findings. */
  readonly error?: string;
}

/** One damaged file of the corpus. */
export interface DamagedFile extends Recipe {
  /** The recipe is NAME.json. */
  readonly name: string;
  /** A fresh copy of the file's bytes. */
  bytes(): Uint8Array;
  /** A fresh copy of the bytes of its journal, if it has one. */
  journalBytes(): Uint8Array | undefined;
}

/** Every damaged file, in the order of the names. */
export function loadCorpus(): DamagedFile[] {
  return readdirSync(DAMAGED)
    .filter((entry) => entry.endsWith('.json'))
    .map((entry) => entry.slice(0, -'.json'.length))
    .toSorted()
    .map((name) => damagedFile(name, JSON.parse(readFileSync(join(DAMAGED, `${name}.json`), 'utf8')) as Recipe));
}

/** The file that a recipe makes. */
function damagedFile(name: string, recipe: Recipe): DamagedFile {
  const { base, edits, journal } = recipe;
  return {
    ...recipe,
    name,
    bytes: () => applyEdits(baseBytes(base), edits),
    journalBytes: () => (journal ? applyEdits(baseBytes(journal.base), journal.edits) : undefined),
  };
}

const bases = new Map<string, Uint8Array>();

/** The bytes of a base: not to be changed. */
export function baseBytes(base: string): Uint8Array {
  let bytes = bases.get(base);
  if (bytes === undefined) {
    bytes = base.startsWith('golden/')
      ? readFileSync(join(GOLDEN, `${base.slice('golden/'.length)}.part`))
      : gunzipSync(readFileSync(join(DAMAGED, 'bases', `${base}.gz`)));
    bases.set(base, bytes);
  }
  return bytes;
}
