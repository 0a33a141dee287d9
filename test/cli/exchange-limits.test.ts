import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { BIN, expectOneError, output } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();
const lines = join(folder, 'export.jsonl');
/** What the limit below cuts off: four pages of 256 KiB. */
const node = `{"type":"node","text":"${'x'.repeat(200_000)}"}\n`;
writeFileSync(lines, node.repeat(4));

/** Runs the executable where no file may grow beyond so many KiB, as on a disk that is full. */
async function runLimited(limitKib: number, args: readonly string[]): Promise<{ exit: unknown; stderr: string }> {
  const script = 'trap "" XFSZ; ulimit -f "$1"; shift; exec "$@"';
  const child = spawn('bash', ['-c', script, 'bash', String(limitKib), process.execPath, BIN, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()));
  const [exit] = (await once(child, 'close')) as unknown[];
  return { exit, stderr };
}

test('an import without space leaves nothing behind, and the file that it should replace unchanged', async () => {
  const [fresh, kept] = [join(folder, 'fresh.part'), join(folder, 'kept.part')];
  await output(['create', kept]);
  const before = readFileSync(kept);
  for (const args of [[fresh], [kept, '--force']]) {
    const { exit, stderr } = await runLimited(800, ['import', ...args, '--input', lines]);
    expect(exit).toBe(3);
    expectOneError(stderr);
    expect(stderr).toContain('larger than the file system or a limit allows');
  }
  expect(existsSync(fresh)).toBe(false);
  expect(readFileSync(kept).equals(before)).toBe(true);
  expect(readdirSync(folder).filter((name) => name.endsWith('.new'))).toEqual([]);
  expect(await runLimited(2000, ['import', fresh, '--input', lines])).toEqual({ exit: 0, stderr: '' });
});
