import { digestIn, writeDigest } from '../../src/format/digest.ts';

/** Makes the digest in block 0 belong to the file header there, which was changed. */
export function sealDigest(bytes: Uint8Array): void {
  const { state } = digestIn(bytes);
  if (state === undefined) throw new Error('the file has no digest');
  writeDigest(state, bytes);
}
