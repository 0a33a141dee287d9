// Makes the corpus of damaged files: `npm run fixtures:damaged -- [--bases] [--update] [--write DIR]`. It writes the
// recipes to fixtures/damaged. `--bases` first makes the files to start from again. `--update` writes the current output of
// verify as the expected reports, and the examples in docs/findings; review the changes before you commit them.
// `--write DIR` only writes the damaged files, as DIR/NAME.part, to try commands on.

import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { gzipSync } from 'node:zlib';
import { baseBytes, DAMAGED, loadCorpus } from './corpus.ts';
import { makeBases } from './damaged/bases.ts';
import { updateFindingPages } from './damaged/finding-pages.ts';
import { EXPECTED, writeCorpus, writeExpected } from './damaged/goldens.ts';
import { makeRecipes } from './damaged/recipes.ts';

const { values } = parseArgs({
  options: { bases: { type: 'boolean' }, update: { type: 'boolean' }, write: { type: 'string' } },
});

if (values.write !== undefined) {
  const folder = resolve(values.write);
  writeCorpus(folder, loadCorpus());
  console.log(`${loadCorpus().length} damaged files in ${folder}`);
} else {
  if (values.bases === true) await writeBases();
  writeRecipes();
  if (values.update === true) await update();
}

async function writeBases(): Promise<void> {
  mkdirSync(join(DAMAGED, 'bases'), { recursive: true });
  for (const [name, bytes] of await makeBases()) {
    writeFileSync(join(DAMAGED, 'bases', `${name}.gz`), gzipSync(bytes, { level: 9 }));
  }
}

function writeRecipes(): void {
  for (const entry of readdirSync(DAMAGED)) if (entry.endsWith('.json')) rmSync(join(DAMAGED, entry));
  for (const [name, recipe] of makeRecipes(baseBytes)) {
    writeFileSync(join(DAMAGED, `${name}.json`), `${JSON.stringify(recipe, null, 2)}\n`);
  }
}

async function update(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'artrie-pages-'));
  try {
    const corpus = loadCorpus();
    writeCorpus(folder, corpus);
    process.chdir(folder);
    rmSync(EXPECTED, { recursive: true, force: true });
    await writeExpected(corpus);
    await updateFindingPages();
  } finally {
    rmSync(folder, { recursive: true });
  }
}
