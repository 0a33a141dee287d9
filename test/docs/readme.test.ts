import { execFileSync } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../support/files.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** The examples of a document: each command of its console blocks, with what it should print. */
function examplesIn(document: string): { command: string; printed: string }[] {
  const examples: { command: string; printed: string }[] = [];
  for (const [, block = ''] of document.matchAll(/^```console\n([\s\S]*?)^```$/gm)) {
    for (const part of block.split(/^\$ /m).slice(1)) {
      const [command = '', ...printed] = part.split('\n');
      examples.push({ command, printed: printed.join('\n').trimEnd() });
    }
  }
  return examples;
}

describe('README.md', () => {
  test('shows what the commands really print', () => {
    const folder = temporaryFolder();
    const tool = join(folder, 'artrie-pages');
    writeFileSync(tool, `#!/bin/sh\nexec '${process.execPath}' '${ROOT}bin/artrie-pages.js' "$@"\n`);
    chmodSync(tool, 0o755);
    const examples = examplesIn(readFileSync(join(ROOT, 'README.md'), 'utf8'));
    expect(examples.length).toBeGreaterThanOrEqual(5);
    for (const { command, printed } of examples) {
      const script = `cd '${folder}'; PATH="${folder}:$PATH"; ${command} || true`;
      const output = execFileSync('bash', ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
      expect(output.trimEnd(), command).toBe(printed);
    }
  });

  test('names documents that are there', () => {
    for (const [, path = ''] of readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/\]\(([^)#:]+)\)/g)) {
      expect(readFileSync(join(ROOT, path), 'utf8').length).toBeGreaterThan(100);
    }
  });
});
