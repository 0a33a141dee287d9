import { PageStoreError } from '../../../src/errors.ts';
import type { SlotState } from '../../../src/salvage/page-slots.ts';
import { nodesByRef, recoverAll, type Recovered } from '../recover.ts';
import type { GoodFile } from './good-files.ts';
import type { Mutation } from './mutate.ts';
import { isUntouched, mayBeNoPageFile, pageCopiedFrom } from './oracle.ts';

const BLOCK = 262_144;

/**
 * Recovers mutated files and holds the new ones against the good ones: every node that is said to be sound is the one
 * that was there, byte for byte; every node of a page that was not touched is there, and sound, if there is still a sound
 * header, be it a copy or in a commit record; and verify finds no error in the new file.
 */
export class RecoverCheck {
  readonly #nodes: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Slots of all recovered files, by what became of them. */
  readonly taken: Record<SlotState, number> = { sound: 0, mended: 0, unverified: 0, doubtful: 0, lost: 0 };
  #recovered = 0;
  #refused = 0;

  private constructor(nodes: ReadonlyMap<string, ReadonlyMap<string, string>>) {
    this.#nodes = nodes;
  }

  static async of(files: readonly GoodFile[]): Promise<RecoverCheck> {
    const nodes = new Map<string, ReadonlyMap<string, string>>();
    for (const { name, bytes } of files) nodes.set(name, await nodesByRef(bytes.slice()));
    return new RecoverCheck(nodes);
  }

  /** @returns what is wrong with what was recovered, if anything */
  async check(mutation: Mutation): Promise<string | undefined> {
    let recovered: Recovered;
    try {
      recovered = await recoverAll(mutation.bytes);
    } catch (error) {
      const refused =
        error instanceof PageStoreError &&
        error.code === 'NOT_A_PAGE_FILE' &&
        (mayBeNoPageFile(mutation) || nothingInPlace(mutation));
      if (refused) this.#refused++;
      return refused ? undefined : `recover throws ${String(error)}`;
    }
    this.#recovered++;
    for (const state of Object.keys(this.taken) as SlotState[]) this.taken[state] += recovered.summary.slots[state];
    const [first] = recovered.errors;
    if (first !== undefined) return `verify finds an error in the recovered file: ${first}`;
    // Checksums that were made to fit vouch for what is not what was there.
    return mutation.kind === 'sealed field'
      ? undefined
      : (this.#wrongNode(mutation, recovered) ?? this.#missing(mutation, recovered));
  }

  summary(): string {
    const taken = Object.entries(this.taken).map(([state, nodes]) => `${nodes} ${state}`);
    return `recover: ${this.#recovered} files, ${this.#refused} refused; nodes: ${taken.join(', ')}`;
  }

  /** A node that is said to be sound, and is another one than that which was there. */
  #wrongNode(mutation: Mutation, { nodes }: Recovered): string | undefined {
    const before = this.#nodesOf(mutation);
    for (const [ref, { hex, state }] of nodes) {
      if (state !== 'sound' || before.get(ref) === hex) continue;
      const [block, slot] = ref.split(':');
      // A page does not say which block it is: one that was copied over another is as sound as where it came from.
      const from = pageCopiedFrom(mutation.file, blockOf(mutation.bytes, Number(block)));
      if (from === undefined || before.get(`${from}:${slot}`) !== hex)
        return `${ref} is said to be sound, and is ${hex}`;
    }
    return undefined;
  }

  /** A node of a page whose committed bytes are what they were, and which was not taken as it is. */
  #missing(mutation: Mutation, { nodes }: Recovered): string | undefined {
    for (const [ref, hex] of this.#nodesOf(mutation)) {
      const block = Number(ref.split(':')[0]);
      if ((block + 1) * BLOCK > mutation.bytes.length || !isUntouched(mutation, block)) continue;
      const node = nodes.get(ref);
      if (node?.hex !== hex || node.state !== 'sound') return `${ref} was not touched, and is ${node?.state ?? 'lost'}`;
    }
    return undefined;
  }

  #nodesOf({ file }: Mutation): ReadonlyMap<string, string> {
    return this.#nodes.get(file.name) as ReadonlyMap<string, string>;
  }
}

/** Whether nothing stands where it stood: not the header, nor its copy, nor a part of a page. */
function nothingInPlace({ file, bytes }: Mutation): boolean {
  return file.committed
    .filter(({ what }) => what !== 'link')
    .every(({ start, end }) => Buffer.compare(bytes.subarray(start, end), file.bytes.subarray(start, end)) !== 0);
}

function blockOf(bytes: Uint8Array, block: number): Buffer {
  const page = Buffer.alloc(BLOCK);
  page.set(bytes.subarray(block * BLOCK, (block + 1) * BLOCK));
  return page;
}
