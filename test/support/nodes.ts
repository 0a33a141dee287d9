/** A small generator of repeatable numbers: mulberry32. */
export function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Nodes with lengths between the two bounds, both included, and bytes that say which node it is. */
export function makeNodes(count: number, shortest: number, longest: number, seed = 1): Uint8Array[] {
  const next = random(seed);
  return Array.from({ length: count }, (_, index) => {
    const node = new Uint8Array(shortest + Math.floor(next() * (longest - shortest + 1)));
    for (let at = 0; at < node.length; at++) node[at] = (index * 31 + at * 7 + seed) & 0xff;
    return node;
  });
}

export const text = (value: string): Uint8Array => new TextEncoder().encode(value);
export const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
