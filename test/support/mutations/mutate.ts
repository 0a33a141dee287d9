import { crc32 } from 'node:zlib';
import { Draft } from '../damaged/draft.ts';
import { random } from '../nodes.ts';
import type { Field, GoodFile } from './good-files.ts';

const BLOCK = 262_144;

/** The kinds of mutation, each made as often as the next. */
export const KINDS = [
  'bit',
  'bits',
  'byte',
  'bytes',
  'zeroed',
  'filled',
  'swapped',
  'copied',
  'shifted',
  'inserted',
  'removed',
  'truncated',
  'extended',
  'field',
  'sealed field',
] as const;
export type Kind = (typeof KINDS)[number];

/** One mutation of a good file. */
export interface Mutation {
  readonly file: GoodFile;
  readonly kind: Kind;
  readonly bytes: Uint8Array;
  /** What was done, for who replays it. */
  readonly edits: Draft['edits'];
}

/** Random numbers and places for one mutation. */
class Dice {
  readonly #next: () => number;
  readonly #file: GoodFile;

  constructor(seed: number, file: GoodFile) {
    this.#next = random(seed);
    this.#file = file;
  }

  /** An integer from `least` to `most`, both included. */
  integer(least: number, most: number): number {
    return least + Math.floor(this.#next() * (most - least + 1));
  }

  pick<T>(choices: readonly T[]): T {
    return choices[this.integer(0, choices.length - 1)] as T;
  }

  hex(bytes: number): string {
    return Array.from({ length: bytes }, () => this.integer(0, 255).toString(16).padStart(2, '0')).join('');
  }

  /** A place in the file: in seven of ten cases one of committed bytes, each range as often as the next. */
  place(): number {
    const { bytes, committed } = this.#file;
    const die = this.integer(0, 9);
    if (die < 7) {
      const { start, end } = this.pick(committed);
      return this.integer(start, end - 1);
    }
    if (die < 9) return Math.floor(this.integer(0, bytes.length - 1) / BLOCK) * BLOCK + this.integer(0, 16_383);
    return this.integer(0, bytes.length - 1);
  }

  /** A range to lose, swap or copy: some bytes, a sector, or a block. */
  range(): { at: number; bytes: number } {
    const [at, unit] = [this.place(), this.pick([1, 1, 1, 512, 4096, BLOCK])];
    const start = at - (at % unit);
    const bytes = unit === 1 ? this.integer(1, 600) : unit;
    return { at: start, bytes: Math.min(bytes, this.#file.bytes.length - start) };
  }

  field(): Field {
    return this.pick(this.#file.fields);
  }

  /** A value at an end of a range, or beside one, as many bytes as the field has. */
  extreme(field: Field, old: bigint): bigint {
    const max = (1n << BigInt(8 * field.bytes)) - 1n;
    const blocks = BigInt(this.#file.bytes.length / BLOCK);
    const value = this.pick(
      [
        [0n, 1n, max, max - 1n, max >> 1n, (max >> 1n) + 1n, old - 1n, old + 1n, old ^ 1n],
        [63n, 64n, 65n, 262_143n, 262_144n, 262_145n, blocks, blocks - 1n, blocks + 1n],
        [1n << 40n, (blocks - 1n) << 40n, blocks << 40n, 32_760n, 32_761n, 131_040n, 131_041n, 247n, 248n, 255n],
      ].flat(),
    );
    return BigInt.asUintN(8 * field.bytes, value);
  }
}

/** Makes the mutation of a seed: the same one, whenever it is asked for. */
export function mutate(file: GoodFile, kind: Kind, seed: number): Mutation {
  const dice = new Dice(seed, file);
  const draft = new Draft(file.bytes);
  MAKERS[kind](draft, dice);
  return { file, kind, bytes: draft.bytes, edits: draft.edits };
}

type Maker = (draft: Draft, dice: Dice) => void;

const MAKERS: Readonly<Record<Kind, Maker>> = {
  bit: (draft, dice) => draft.flip(dice.place(), dice.integer(0, 7)),
  bits: (draft, dice) => {
    for (let left = dice.integer(2, 8); left > 0; left--) draft.flip(dice.place(), dice.integer(0, 7));
  },
  byte: (draft, dice) => draft.set(dice.place(), dice.pick(['00', 'ff', dice.hex(1)])),
  bytes: (draft, dice) => {
    const [at, hex] = [dice.place(), dice.hex(dice.integer(2, 16))];
    draft.set(at, hex.slice(0, 2 * (draft.bytes.length - at)));
  },
  zeroed: (draft, dice) => {
    const { at, bytes } = dice.range();
    draft.zero(at, bytes);
  },
  filled: (draft, dice) => {
    const { at, bytes } = dice.range();
    draft.fill(at, bytes, dice.pick(['ff', dice.hex(1), dice.hex(7)]));
  },
  swapped: (draft, dice) => {
    const [one, other] = [dice.range(), dice.range()];
    const bytes = Math.min(one.bytes, other.bytes);
    draft.edit({ op: 'swap', at: one.at, with: other.at, bytes });
  },
  copied: (draft, dice) => {
    const [from, to] = [dice.range(), dice.range()];
    draft.edit({ op: 'copy', from: from.at, to: to.at, bytes: Math.min(from.bytes, to.bytes) });
  },
  shifted: (draft, dice) => {
    const [from, by] = [dice.range(), dice.pick([-9, -8, -1, 1, 2, 8, 64])];
    const to = Math.max(0, Math.min(from.at + by, draft.bytes.length - from.bytes));
    draft.edit({ op: 'copy', from: from.at, to, bytes: from.bytes });
  },
  inserted: (draft, dice) => draft.edit({ op: 'insert', at: dice.place(), hex: dice.hex(dice.integer(1, 9)) }),
  removed: (draft, dice) => {
    const at = dice.place();
    draft.edit({ op: 'remove', at, bytes: Math.min(dice.integer(1, 600), draft.bytes.length - at) });
  },
  truncated: (draft, dice) => {
    const blocks = Math.floor(draft.bytes.length / BLOCK);
    const edge = dice.integer(0, blocks - 1) * BLOCK + dice.integer(-2, 66);
    draft.edit({ op: 'truncate', bytes: dice.pick([Math.max(0, edge), dice.place()]) });
  },
  extended: (draft, dice) =>
    draft.edit({ op: 'extend', bytes: dice.pick([1, 63, 4096, BLOCK - 1, BLOCK, BLOCK + 1]), hex: dice.hex(3) }),
  field: (draft, dice) => setExtreme(draft, dice),
  'sealed field': (draft, dice) => {
    const { at } = setExtreme(draft, dice);
    const block = Math.floor(at / BLOCK);
    if (block === 0) sealBlock0(draft);
    else sealPageIfBounded(draft, block);
  },
};

function setExtreme(draft: Draft, dice: Dice): Field {
  const field = dice.field();
  const old = draft.bytes.subarray(field.at, field.at + field.bytes).toReversed();
  const value = dice.extreme(field, BigInt(`0x${Buffer.from(old).toString('hex')}`));
  const digits = value.toString(16).padStart(2 * field.bytes, '0');
  draft.set(field.at, Buffer.from(digits, 'hex').toReversed());
  return field;
}

/** Makes every checksum of block 0 fit, those of commit records as well. */
function sealBlock0(draft: Draft): void {
  draft.sealHeader();
  draft.sealCopy();
  for (const record of [4096, 8192]) draft.u32(record + 168, crc32(draft.buffer.subarray(record, record + 168)));
}

/** Makes the checksum of a page fit, where its header gives bounds to compute it in. */
function sealPageIfBounded(draft: Draft, block: number): void {
  const page = block * BLOCK;
  if ([16, 20].some((at) => draft.readU32(page + at) > BLOCK)) return;
  draft.sealPage(block);
}
