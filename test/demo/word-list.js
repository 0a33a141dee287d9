// What `npm start` runs: the main job of the tool on a real word list, through the real commands, in V1 and in V2; and
// damage that is found and mended.

import { readFileSync, rmSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { damageAndMend } from './damage.js';
import { folder, run, show, WORDS } from './tool.js';

function demo(pageFormat, words) {
  console.log(`\n=== ${words.length} words into a file of ${pageFormat.toUpperCase()} pages ===`);
  const file = `words-${pageFormat}.part`;
  show(run('create', file, '--page-format', pageFormat), 1);

  const refs = run('append', file, '--input', WORDS);
  show(refs, 3);
  const refOf = refs.trimEnd().split('\n');

  const wanted = ['adaptive', 'radix', 'éclair', 'zymurgy'].filter((word) => words.includes(word));
  for (const word of wanted) {
    const ref = refOf[words.indexOf(word)];
    const read = run('read', file, ref);
    console.log(read);
    if (read !== word) throw new Error(`${ref} should be ${word}`);
  }
  if (run('read', file, '--all') !== readFileSync(WORDS, 'utf8')) throw new Error('read --all is not the word list');
  console.log('(the word list, byte for byte)');

  show(run('finalize', file), 3);
  show(run('dump', file), 30);
  show(run('stat', file), 30);
  show(run('verify', '--require-checksums', '--require-finalized', file), 10);
  if (pageFormat === 'v1') damageAndMend(file);
  return statSync(join(folder, file)).size;
}

try {
  const words = readFileSync(WORDS, 'utf8').trimEnd().split('\n');
  const sizes = { v1: demo('v1', words), v2: demo('v2', words) };
  const kib = (bytes) => `${bytes / 1024} KiB`;
  console.log(`\nDone. ${words.length} words were appended, read back byte for byte, finalized and verified:`);
  console.log(`${kib(sizes.v1)} as V1 pages, ${kib(sizes.v2)} as V2 pages.`);
} finally {
  rmSync(folder, { recursive: true });
}
