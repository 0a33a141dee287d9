import { BLOCK, isSameBytes, type State, withBlock, withBytes } from './blocks-file.ts';
import type { History } from './history.ts';

/** What happened to the file, one name for each row of the table. */
export const FAULT_KINDS = [
  'page zeroed',
  'page older',
  'pages swapped',
  'page copied over another',
  'page of another file',
  'page start older',
  'page sector older',
  'page start zeroed',
  'sector zeroed',
  'bit flipped',
  'free or empty head replaced',
  'file header older',
  'block 0 older',
  'header copy older',
  'commit record older',
  'commit record zeroed',
  'file cut',
] as const;

export type FaultKind = (typeof FAULT_KINDS)[number];

/** Lost, older, swapped, copied, and foreign pages. */
export const WHOLE_PAGE_KINDS: readonly FaultKind[] = FAULT_KINDS.slice(0, 5);

export interface Fault {
  readonly kind: FaultKind;
  /** Where, and with what. */
  readonly what: string;
  /** The file with the fault. */
  readonly state: State;
}

/** Where faults are made. */
export interface FaultPlace {
  readonly history: History;
  /** A file of the same format, whose pages get into this one. */
  readonly other: History;
  readonly random: () => number;
}

const SECTOR = 512;
const USED_BLOCK_0 = 12_800;
const [COPY_AT, RECORD_0, RECORD_1] = [12_288, 4096, 8192];
const MAGICS = ['BYTARANA', 'BYTARAV2'];

const TRIES = 30;

/** A fault of a kind at a random place; undefined if none was found that changes a byte that means something. */
export function makeFault(kind: FaultKind, state: State, place: FaultPlace): Fault | undefined {
  for (let tries = 0; tries < TRIES; tries++) {
    const made = MAKERS[kind](new Picker(state, place));
    if (made && isUsedChanged(state, made.state)) return { kind, ...made };
  }
  return undefined;
}

function isUsedChanged(before: State, after: State): boolean {
  if (before.size !== after.size) return true;
  return before.blocks.some((old, block) => {
    const bytes = after.blocks[block]!;
    if (bytes === old) return false;
    const ranges = usedRanges(old, block);
    return ranges.some(([start, end]) => !isSameBytes(old.subarray(start, end), bytes.subarray(start, end)));
  });
}

type Made = Omit<Fault, 'kind'>;

const MAKERS: Readonly<Record<FaultKind, (pick: Picker) => Made | undefined>> = {
  'page zeroed': (pick) => {
    const block = pick.page();
    return block === undefined ? undefined : pick.put(block, new Uint8Array(BLOCK), 'zeros');
  },
  'page older': (pick) => {
    const block = pick.page();
    return block === undefined ? undefined : pick.put(block, pick.version(block), 'an older state');
  },
  'pages swapped': (pick) => {
    const [a, b] = [pick.page(), pick.page()];
    if (a === undefined || b === undefined || a === b) return undefined;
    const { blocks } = pick.state;
    const state = withBlock(withBlock(pick.state, a, blocks[b]!), b, blocks[a]!);
    return { what: `blocks ${a} and ${b}`, state };
  },
  'page copied over another': (pick) => {
    const [a, b] = [pick.page(), pick.page()];
    return a === undefined || b === undefined ? undefined : pick.put(b, pick.state.blocks[a]!, `block ${a}`);
  },
  'page of another file': (pick) => {
    const block = pick.page();
    const { blocks } = pick.other.final;
    // Most often the page of the same place, which says that it belongs there.
    const from =
      block !== undefined && block < blocks.length && pick.below(3) > 0 ? block : pick.between(1, blocks.length);
    if (block === undefined || !isPage(blocks[from]!)) return undefined;
    return pick.put(block, blocks[from]!, `block ${from} of another file`);
  },
  'page start older': (pick) => {
    const block = pick.page();
    return block === undefined ? undefined : pick.putSector(block, 0, pick.version(block), 'an older state');
  },
  'page sector older': (pick) => {
    const block = pick.page();
    if (block === undefined) return undefined;
    const version = pick.version(block);
    const sector = pick.oneOf(differentSectors(pick.state.blocks[block]!, version));
    return sector === undefined ? undefined : pick.putSector(block, sector * SECTOR, version, 'an older state');
  },
  'page start zeroed': (pick) => {
    const block = pick.page();
    return block === undefined ? undefined : pick.putSector(block, 0, new Uint8Array(BLOCK), 'zeros');
  },
  'sector zeroed': (pick) => {
    const block = pick.below(pick.state.blocks.length);
    const zeros = new Uint8Array(BLOCK);
    const sector = pick.oneOf(differentSectors(pick.state.blocks[block]!, zeros));
    return sector === undefined ? undefined : pick.putSector(block, sector * SECTOR, zeros, 'zeros');
  },
  'bit flipped': (pick) => {
    const block = pick.below(pick.state.blocks.length);
    const bytes = pick.state.blocks[block]!;
    const used = usedRanges(bytes, block);
    // Headers are as likely as all the rest.
    const range = pick.below(2) === 0 ? used[0] : pick.oneOf(used);
    if (range === undefined) return undefined;
    const [at, bit] = [pick.between(...range), pick.below(8)];
    const flipped = Uint8Array.of(bytes[at]! ^ (1 << bit));
    return { what: `bit ${bit} of byte ${at} of block ${block}`, state: withBytes(pick.state, block, at, flipped) };
  },
  'free or empty head replaced': (pick) => {
    const block = pick.oneOf(
      [...pick.state.blocks.keys()].filter((each) => each > 0 && isFreeOrEmpty(pick.state.blocks[each]!)),
    );
    if (block === undefined) return undefined;
    const [head, what] = pick.strangeHead(block);
    return { what: `block ${block} gets ${what}`, state: withBytes(pick.state, block, 0, head.slice(0, 64)) };
  },
  'file header older': (pick) => pick.putSector(0, 0, pick.version(0), 'an older state'),
  'block 0 older': (pick) => pick.putPart(0, 0, USED_BLOCK_0, pick.version(0), 'an older state'),
  'header copy older': (pick) => pick.putSector(0, COPY_AT, pick.version(0), 'an older state'),
  'commit record older': (pick) =>
    pick.putSector(0, pick.below(2) === 0 ? RECORD_0 : RECORD_1, pick.version(0), 'an older state'),
  'commit record zeroed': (pick) =>
    pick.putSector(0, pick.below(2) === 0 ? RECORD_0 : RECORD_1, new Uint8Array(BLOCK), 'zeros'),
  'file cut': (pick) => {
    const { blocks } = pick.state;
    const left = pick.between(1, blocks.length);
    return {
      what: `after ${left} of ${blocks.length} blocks`,
      state: { blocks: blocks.slice(0, left), size: left * BLOCK },
    };
  },
};

/** Chooses places and bytes. */
class Picker {
  readonly state: State;
  readonly other: History;
  readonly #states: readonly State[];
  readonly #random: () => number;

  constructor(state: State, { history, other, random }: FaultPlace) {
    this.state = state;
    this.other = other;
    this.#states = history.states;
    this.#random = random;
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  between(from: number, end: number): number {
    return from + this.below(end - from);
  }

  oneOf<T>(choices: readonly T[]): T | undefined {
    return choices[this.below(choices.length)];
  }

  /** A block that is a page now. */
  page(): number | undefined {
    const { blocks } = this.state;
    return this.oneOf([...blocks.keys()].filter((block) => block > 0 && isPage(blocks[block]!)));
  }

  /** A state of a block from any time at which there was one. */
  version(block: number): Uint8Array {
    const versions = new Set(this.#states.map(({ blocks }) => blocks[block]).filter((bytes) => bytes !== undefined));
    return this.oneOf([...versions])!;
  }

  put(block: number, bytes: Uint8Array, what: string): Made {
    return { what: `block ${block} gets ${what}`, state: withBlock(this.state, block, bytes) };
  }

  putSector(block: number, offset: number, version: Uint8Array, what: string): Made {
    return this.putPart(block, offset, offset + SECTOR, version, what);
  }

  putPart(block: number, start: number, end: number, version: Uint8Array, what: string): Made {
    const state = withBytes(this.state, block, start, version.subarray(start, end));
    return { what: `block ${block} gets ${what} at ${start} to ${end}`, state };
  }

  /** For a block without nodes. */
  strangeHead(block: number): [Uint8Array, string] {
    const { blocks } = this.state;
    switch (this.below(5)) {
      case 0:
        return [new Uint8Array(64), 'a head of zeros'];
      case 1: {
        const linked = this.below(blocks.length);
        const head = Buffer.alloc(64);
        head.writeBigUInt64LE(BigInt(linked) << 40n);
        return [head, `a link to ${linked}`];
      }
      case 2:
        return [this.version(block), 'an older head'];
      case 3: {
        const from = this.between(1, blocks.length);
        return [blocks[from]!, `the head of block ${from}`];
      }
      default:
        return [Buffer.from(Array.from({ length: 64 }, () => this.below(256))), 'a random head'];
    }
  }
}

export const isPage = (block: Uint8Array): boolean => MAGICS.includes(asBuffer(block).toString('latin1', 0, 8));

const isFreeOrEmpty = (block: Uint8Array): boolean => !isPage(block) || asBuffer(block).readUInt32LE(12) === 0;

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);

/** The indexes of the sectors that differ. */
function differentSectors(a: Uint8Array, b: Uint8Array): number[] {
  const different: number[] = [];
  for (let at = 0; at < BLOCK; at += SECTOR)
    if (!isSameBytes(a.subarray(at, at + SECTOR), b.subarray(at, at + SECTOR))) different.push(at / SECTOR);
  return different;
}

/**
 * The bytes of a block that mean something, by the description of the format; of a page the header first.
 * @returns ranges of offsets in the block, without empty ones
 */
export function usedRanges(block: Uint8Array, id: number): [start: number, end: number][] {
  if (id === 0)
    return [
      [0, 128],
      [RECORD_0, RECORD_0 + 192],
      [RECORD_1, RECORD_1 + 192],
      [COPY_AT, COPY_AT + 128],
    ];
  if (!isPage(block)) return [[0, 64]];
  const view = asBuffer(block);
  const [freeOffset, directory] = [view.readUInt32LE(16), view.readUInt32LE(20)];
  const end = view.toString('latin1', 0, 8) === MAGICS[0] ? BLOCK : directory + view.readUInt32LE(28);
  const ranges: [number, number][] = [
    [0, 64],
    [64, Math.min(freeOffset, BLOCK)],
    [directory, Math.min(end, BLOCK)],
  ];
  return ranges.filter(([start, end]) => start < end);
}

const DIGESTS: readonly [offset: number, bytes: number][] = [
  [88, 40],
  [COPY_AT + 88, 40],
  [RECORD_0 + 172, 20],
  [RECORD_1 + 172, 20],
];

/** The file as another program leaves it: without the digest of the page headers. */
export function withoutDigest(state: State): State {
  if (state.blocks.length === 0) return state;
  const block0 = state.blocks[0]!.slice();
  for (const [offset, bytes] of DIGESTS) block0.fill(0, offset, offset + bytes);
  return withBlock(state, 0, block0);
}
