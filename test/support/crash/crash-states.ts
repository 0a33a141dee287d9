import type { CrashDisk, DiskState } from './crash-disk.ts';

/** With at most so many pieces, every subset of them is tried. */
const ALL_SUBSETS_OF = 10;
/** Of more writes than these, a seeded choice is tried as first lost, lost alone and kept alone. */
const MOST_WRITES = 24;
const RANDOM_SUBSETS = 12;

/** The states that a power cut may leave now that have not been given for `seen` yet. */
export function* statesOf(disk: CrashDisk, seen: Set<string>, key: string, random: () => number): Generator<DiskState> {
  for (const [index, journal] of disk.journal.candidates.entries()) {
    for (const survivors of subsetsOf(disk, random)) {
      for (const keepsSize of disk.sizeIsPending ? [true, false] : [true]) {
        const name = `${key}/${disk.version}/${index}/${keepsSize}/${[...survivors].join(' ')}`;
        if (seen.has(name)) continue;
        seen.add(name);
        yield { image: disk.imageAfter((id) => survivors.has(id), keepsSize), journal };
      }
    }
  }
}

function* subsetsOf(disk: CrashDisk, random: () => number): Generator<Set<number>> {
  const writes = disk.pending.flatMap((step) => (step.kind === 'write' ? [step.pieces.map(({ id }) => id)] : []));
  const pieces = writes.flat();
  if (pieces.length <= ALL_SUBSETS_OF) {
    for (let mask = 0; mask < 2 ** pieces.length; mask++) {
      yield new Set(pieces.filter((_, index) => (mask & (1 << index)) !== 0));
    }
    return;
  }
  yield new Set(pieces);
  yield new Set();
  for (const index of choice(writes.length, random)) {
    const write = writes[index] ?? [];
    const before = writes.slice(0, index).flat();
    yield new Set(before);
    yield new Set([...before, ...write.slice(0, Math.floor(random() * write.length))]);
    yield new Set(pieces.filter((id) => !write.includes(id)));
    yield new Set(write);
  }
  for (let each = 0; each < RANDOM_SUBSETS; each++) {
    const share = [0.5, 0.1, 0.9, 0.98][each % 4] ?? 0.5;
    yield new Set(pieces.filter(() => random() < share));
  }
}

/** All indexes below `count`, or a choice of them where they are many: the last ones, and others at random. */
function choice(count: number, random: () => number): Set<number> {
  const all = Array.from({ length: count }, (_, index) => index);
  if (count <= MOST_WRITES) return new Set(all);
  const chosen = new Set(all.slice(-8));
  while (chosen.size < MOST_WRITES) chosen.add(Math.floor(random() * count));
  return chosen;
}
