// A disk that is full: a small tmpfs and a small ext4 in a file, which allocates late, are filled to the last byte by
// `append`; then each command is tried there, and again once there is room. A limit on the size of a file is the third
// shortage. Mounting takes root; without it that part is skipped. It needs the built command line.
// Run: npm run campaign:full-disk

import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runOutOfSpace, type Shortage } from '../support/kills/full-disk.ts';

const TOO_LARGE = 'larger than the file system or a limit allows';

const folder = mkdtempSync(join(tmpdir(), 'artrie-pages-full-disk-'));
const place = join(folder, 'disk');
const image = join(folder, 'image');
mkdirSync(place);
try {
  await onDisk('tmpfs of 3 MiB', 800_000, [['mount', '-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', place]]);
  await onDisk('ext4 of 8 MiB', 3_500_000, [
    ['truncate', '-s', '8M', image],
    ['mkfs.ext4', '-q', '-F', image],
    ['mount', '-o', 'loop', image, place],
  ]);
  await each('a limit of 2,000 KiB a file', (variant) =>
    runOutOfSpace({
      ...variant,
      path: join(folder, 'limited.part'),
      words: TOO_LARGE,
      limitKib: 2000,
      makeRoom: () => undefined,
    }),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}

type Variant = Pick<Shortage, 'format' | 'appendOptions'>;

async function each(what: string, run: (variant: Variant) => ReturnType<typeof runOutOfSpace>): Promise<void> {
  for (const format of ['v1', 'v2'] as const) {
    for (const appendOptions of [['--batch', '1'], ['--batch', '7'], []]) {
      const name = `${what}, ${format}, append ${appendOptions.join(' ')}`;
      try {
        const { outcomes, nodes } = await run({ format, appendOptions });
        const text = Object.entries(outcomes).map(([command, outcome]) => `${command}: ${outcome}`);
        console.log(`${name}: ${nodes} nodes, all there; ${text.join(', ')}`);
      } catch (error) {
        console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`);
        process.exitCode = 1;
      }
      rmSync(join(folder, 'limited.part'), { force: true });
    }
  }
}

/** Runs all variants, each on a disk made anew. @param ballastBytes - what is deleted to make room */
async function onDisk(what: string, ballastBytes: number, make: readonly (readonly string[])[]): Promise<void> {
  const reason = make.map(call).find((failure) => failure !== undefined);
  if (reason !== undefined) {
    console.error(`skipped: ${what}: ${reason}`);
    return;
  }
  call(['umount', place]);
  await each(what, async (variant) => {
    make.forEach(call);
    try {
      const ballast = join(place, 'ballast');
      writeFileSync(ballast, Buffer.alloc(ballastBytes, 1));
      const path = join(place, 'file.part');
      return await runOutOfSpace({ ...variant, path, words: 'no space left', makeRoom: () => rmSync(ballast) });
    } finally {
      call(['umount', place]);
    }
  });
}

/** @returns why a command of the system failed, if it did */
function call([name = '', ...args]: readonly string[]): string | undefined {
  const { status, stderr, error } = spawnSync(name, args, { encoding: 'utf8' });
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}
