import { chmodSync, existsSync, readdirSync, readlinkSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { syncDirectory } from '../../src/disk/node-fs.ts';
import { NodeUndoFile } from '../../src/disk/node-create.ts';
import { temporaryFolder } from '../support/files.ts';

vi.mock('../../src/disk/node-fs.ts', { spy: true });
const folder = temporaryFolder();

afterEach(() => {
  vi.mocked(syncDirectory).mockReset();
});

function pageFile(name: string, mode: number): string {
  const path = join(folder, name);
  writeFileSync(path, 'pages');
  chmodSync(path, mode);
  return path;
}

test.each([0o600, 0o640, 0o666])('an undo file has the permissions of the page file: mode %o', async (mode) => {
  const path = pageFile(`mode ${mode}`, mode);
  for (const name of [`${path}.undo`, `${path}.undo.1`]) {
    const file = await new NodeUndoFile(path).create();
    await file.close();
    expect(statSync(name).mode & 0o777).toBe(mode);
  }
});

test.skipIf(!existsSync('/proc/self/fd'))(
  'an undo file whose name cannot be made durable is closed and removed',
  async () => {
    const path = pageFile('not synced', 0o600);
    const place = new NodeUndoFile(path);
    vi.mocked(syncDirectory).mockRejectedValueOnce(Object.assign(new Error('no space'), { code: 'ENOSPC' }));
    await expect(place.create()).rejects.toMatchObject({ code: 'IO', detail: { errno: 'ENOSPC' } });
    expect(existsSync(`${path}.undo`)).toBe(true);
    expect(openFiles()).not.toContain(`${path}.undo`);
    await place.remove();
    expect(existsSync(`${path}.undo`)).toBe(false);
  },
);

/** Paths of the open files of this process. */
function openFiles(): string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => {
    try {
      return [readlinkSync(`/proc/self/fd/${fd}`)];
    } catch {
      // The handle of the listing itself is closed by now.
      return [];
    }
  });
}
