// Damage that is found and mended: the second part of `npm start`.

import { closeSync, copyFileSync, openSync, readSync, statSync, truncateSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { folder, run, runTo, show } from './tool.js';

const BLOCK_BYTES = 262_144;

/** Damages copies of a file of V1 pages, and gets the nodes back. */
export function damageAndMend(file) {
  flipBack(file);
  recover(file);
  compact(file);
}

/** One bit: verify names it, and repair flips it back. */
function flipBack(file) {
  const copy = 'flipped.part';
  copyFileSync(join(folder, file), join(folder, copy));
  const { offset, block } = JSON.parse(run('dump', file, '--slot', '3:100', '--json').split('\n')[0]);
  const at = block * BLOCK_BYTES + offset;
  change(copy, at, (bytes) => (bytes[0] ^= 4), 1);
  console.log(`\n=== One bit of a copy is flipped: bit 2 of byte ${at}, in node 3:100 ===`);

  const found = runTo(1, 'verify', copy);
  show(found, 3);
  if (!found.includes(`bit 2 of byte ${at} (node 3:100)`)) throw new Error('verify should name the bit');
  // In a page as full as this one, other damage would look the same once in 2,048 times: so it has to be asked for.
  show(run('repair', copy, '--likely-bits'), 3);
  show(run('verify', copy), 1);
  if (run('diff', file, copy) !== '') throw new Error('the copy should be as the file is');
  console.log('(no difference)');
}

/** Much more: what is left is saved, and everything is accounted for. */
function recover(file) {
  const [copy, saved] = ['damaged.part', 'saved.part'];
  copyFileSync(join(folder, file), join(folder, copy));
  change(copy, 0, (bytes) => bytes.fill(0), 64);
  change(copy, 2 * BLOCK_BYTES, (bytes) => bytes.fill(0), 64);
  truncateSync(join(folder, copy), statSync(join(folder, file)).size - 1.5 * BLOCK_BYTES);
  console.log('\n=== A copy loses its file header, the header of page 2, and a block and a half at its end ===');

  const report = run('recover', copy, saved);
  show(report, 24);
  if (!report.includes('79,719 nodes recovered')) throw new Error('all pages but the last two should be there');
  show(run('verify', saved), 1);
  for (const block of ['1', '2']) {
    if (run('read', saved, block) !== run('read', file, block)) throw new Error(`page ${block} should be as it was`);
  }
  console.log('(pages 1 and 2, byte for byte)');
}

/** The same nodes, in pages of the other format. */
function compact(file) {
  const small = 'compact.part';
  console.log('\n=== All nodes into V2 pages ===');
  show(run('compact', file, small, '--page-format', 'v2'), 10);
  if (run('diff', '--nodes', file, small) !== '') throw new Error('the nodes should be the same');
  console.log('(no difference)');
}

/** Changes `byteCount` bytes of a file from `offset` on. */
function change(name, offset, edit, byteCount) {
  const file = openSync(join(folder, name), 'r+');
  const bytes = Buffer.alloc(byteCount);
  readSync(file, bytes, 0, byteCount, offset);
  edit(bytes);
  writeSync(file, bytes, 0, byteCount, offset);
  closeSync(file);
}
