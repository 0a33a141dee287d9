import { execFileSync } from 'node:child_process';
import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { ROOT, runExamples } from '../support/examples.ts';
import { temporaryFolder } from '../support/files.ts';

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
      // A terminal shows both streams.
      const script = `exec 2>&1; cd '${folder}'; PATH="${folder}:$PATH"; ${command} || true`;
      const output = execFileSync('bash', ['-c', script], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
      expect(output.trimEnd(), command).toBe(printed);
    }
  });

  test('shows how to use the library in code that runs', async () => {
    const folder = temporaryFolder();
    expect(await runExamples('README.md', folder)).toEqual([
      'adaptive\n1:0 adaptive\n1:1 radix\n1:2 trie\n',
      '3 262057\ntrue\n29\n',
      '42\n',
      'IO\n2 1 0 1\n',
    ]);
    expect(readdirSync(folder).filter((name) => !name.endsWith('.lock'))).toEqual([
      'copy.part',
      'example.mjs',
      'nodes.part',
      'small.part',
    ]);
  });

  test('names documents that are there', () => {
    for (const [, path = ''] of readFileSync(join(ROOT, 'README.md'), 'utf8').matchAll(/\]\(([^)#:]+)\)/g)) {
      expect(readFileSync(join(ROOT, path), 'utf8').length).toBeGreaterThan(100);
    }
  });
});
