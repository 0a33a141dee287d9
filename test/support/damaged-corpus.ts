// Makes the corpus of damaged files: `npm run fixtures:damaged -- [--bases] [--update] [--write DIR]`. It writes the
// recipes to fixtures/damaged. `--bases` first makes the files anew that they begin with. `--update` writes the reports
// that verify has to give as it gives them now, and the examples in docs/findings: to be read before they are committed.
// `--write DIR` writes nothing but the damaged files themselves, as DIR/NAME.part, for who wants to try a command on them.

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
