// What it costs to copy a short key into an arena, and to reset one. Run: npm run bench:epochs
//
// Measured as it is shipped, in plain JavaScript: tsx gives each class and function its name at run time, which costs
// something too.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildSync } from 'esbuild';

const folder = mkdtempSync(join(tmpdir(), 'artrie-epochs-'));
try {
  const outfile = join(folder, 'epochs-run.mjs');
  const entry = fileURLToPath(new URL('epochs-run.ts', import.meta.url));
  buildSync({ entryPoints: [entry], bundle: true, platform: 'node', format: 'esm', target: 'node20', outfile });
  process.exitCode = spawnSync(process.execPath, [outfile], { stdio: 'inherit' }).status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
