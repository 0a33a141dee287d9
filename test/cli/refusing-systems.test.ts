import { chmodSync, chownSync, existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import {
  type ProcessOptions,
  type ProcessResult,
  publicCopy,
  runCli,
  unprivileged,
  withNativeLocks,
} from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { startHolder } from '../support/lock.ts';
import { buildRefusals, canRefuse, KILL_AT_FOLDER_SYNC, type Refuse } from '../support/refusals.ts';

const bin = withNativeLocks(publicCopy());
const root = temporaryFolder();
chmodSync(root, 0o755);
const refuse: Refuse = canRefuse ? buildRefusals(dirname(dirname(bin))) : () => ({});

let folders = 0;

/** A folder of the user who runs the commands. */
function newFolder(mode: number = 0o755, owner: number = unprivileged.uid ?? statSync(root).uid): string {
  const path = join(root, String(folders++));
  mkdirSync(path);
  if (process.getuid?.() === 0) chownSync(path, owner, owner);
  chmodSync(path, mode);
  return path;
}

interface Outcome {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

const shown = ({ exit, stdout, stderr }: ProcessResult): Outcome => ({
  exit,
  stdout: stdout.toString(),
  stderr: stderr.toString(),
});

async function run(args: readonly string[], options: ProcessOptions = unprivileged): Promise<Outcome> {
  return shown(await runCli(args, { bin, ...options }));
}

/** Runs commands that shall all be done. @returns their standard error */
async function runAll(commands: readonly (readonly string[])[], options: ProcessOptions): Promise<string[]> {
  const told: string[] = [];
  for (const args of commands) {
    const { exit, stderr } = await run(args, options);
    expect({ args, exit, stderr }).toMatchObject({ exit: 0 });
    told.push(stderr);
  }
  return told;
}

const NOTE =
  /^artrie-pages: note: the folder \S+ cannot be synced, since [^\n]+ \(\w+\): after a power failure, [^\n]+\n$/;

describe('a folder that cannot be synced', () => {
  test.each(['v1', 'v2'])('may not be listed: all writers do their work and say so once, %s', async (format) => {
    const folder = newFolder(0o300);
    const path = join(folder, 'a.part');
    const told = await runAll(
      [
        ['create', path, '--page-format', format],
        ['append', path, 'node'],
        ['update', path, '1:0', 'done'],
        ['compact', path, '--replace', '-q'],
      ],
      unprivileged,
    );
    expect(told.map((text) => NOTE.test(text) || text)).toEqual([true, '', true, true]);
    expect((await run(['read', path, '1:0'])).stdout).toBe('done');
    expect(readdirSync(folder).toSorted()).toEqual(['a.part', 'a.part.lock']);
  });

  test.runIf(canRefuse).each(['EINVAL', 'ENOTSUP', 'EACCES', 'EBADF'] as const)(
    'fails with %s: as well',
    async (errno) => {
      const folder = newFolder();
      const path = join(folder, 'a.part');
      const options = { ...unprivileged, env: refuse({ REFUSE_FOLDER_SYNC: errno }) };
      const told = await runAll(
        [
          ['create', path],
          ['append', path, 'node'],
          ['update', path, '1:0', 'done'],
        ],
        options,
      );
      expect(told.map((text) => NOTE.test(text) || text)).toEqual([true, '', true]);
      expect((await run(['read', path, '1:0'])).stdout).toBe('done');
      expect(readdirSync(folder).toSorted()).toEqual(['a.part', 'a.part.lock']);
    },
  );

  test.runIf(canRefuse)('by a device that fails is an error, and leaves nothing half', async () => {
    const folder = newFolder();
    const path = join(folder, 'a.part');
    const options = { ...unprivileged, env: refuse({ REFUSE_FOLDER_SYNC: 'EIO' }) };
    expect(await run(['create', path], options)).toMatchObject({ exit: 3 });
    expect(existsSync(path)).toBe(false);
    await runAll(
      [
        ['create', path],
        ['append', path, 'node'],
      ],
      unprivileged,
    );
    expect(await run(['update', path, '1:0', 'done'], options)).toMatchObject({ exit: 3 });
    expect((await run(['read', path, '1:0'])).stdout).toBe('node');
    expect(readdirSync(folder).toSorted()).toEqual(['a.part', 'a.part.lock']);
  });
});

test.runIf(canRefuse).each(['EPERM', 'ENOTSUP'] as const)(
  'a mode that cannot be set is no error: %s',
  async (errno) => {
    const folder = newFolder();
    const [path, copy, recovered] = ['a.part', 'b.part', 'c.part'].map((name) => join(folder, name)) as [
      string,
      string,
      string,
    ];
    const env = refuse({ REFUSE_MODE: errno, REFUSE_OWNER: errno });
    const told = await runAll(
      [
        ['create', path],
        ['append', path, 'node'],
        ['update', path, '1:0', 'done'],
        ['compact', path, copy, '-q'],
        ['compact', path, '--replace', '-q'],
        ['recover', path, recovered, '--map', join(folder, 'map'), '-q'],
      ],
      { ...unprivileged, env },
    );
    expect(told.slice(0, 5).join('')).toBe('');
    for (const each of [path, copy, recovered]) expect((await run(['read', each, '1:0'])).stdout).toBe('done');
    expect(readdirSync(folder).filter((name) => /journal|new|old/.test(name))).toEqual([]);
  },
);

describe.runIf(canRefuse)('a file system without locks', () => {
  test.each(['ENOLCK', 'ENOTSUP', 'EPERM', 'EOVERFLOW'] as const)(
    'that says %s has the lock that is a file',
    async (errno) => {
      const path = join(newFolder(), 'a.part');
      const env = refuse({ REFUSE_LOCKS: errno });
      await runAll(
        [
          ['create', path],
          ['append', path, 'node'],
        ],
        { ...unprivileged, env },
      );
      expect(readdirSync(dirname(path)).filter((name) => name.includes('.pid'))).toEqual([]);
    },
  );

  test.each(['EPERM', 'EACCES', 'EMLINK'] as const)(
    'and without hard links (%s) can take a lock, and break it',
    async (errno) => {
      const path = join(newFolder(), 'a.part');
      const env = refuse({ REFUSE_LOCKS: 'ENOLCK', REFUSE_LINKS: errno });
      await runAll([['create', path]], { ...unprivileged, env });
      const dead = { pid: 2 ** 22 + 1, host: hostname(), since: '2026-01-01T00:00:00Z', program: 'artrie-pages' };
      writeFileSync(`${path}.lock.pid`, JSON.stringify(dead));
      await runAll([['append', path, 'node', '--break-lock']], { ...unprivileged, env });
      expect(readdirSync(dirname(path)).toSorted()).toEqual(['a.part', 'a.part.lock']);
    },
  );

  test('still has one writer at a time', async () => {
    const path = join(newFolder(), 'a.part');
    await runAll([['create', path]], unprivileged);
    const holder = await startHolder(path, bin);
    const env = refuse({ REFUSE_LOCKS: 'ENOLCK' });
    const { exit, stderr } = await run(['append', path, 'node'], { ...unprivileged, env });
    expect({ exit, stderr }).toMatchObject({
      exit: 4,
      stderr: expect.stringContaining(`process ${holder.pid} `) as string,
    });
    await holder.finish();
  });
});

const [USER, OTHER, GROUP] = [12_345, 12_346, 23_456];
const asUser: ProcessOptions = { uid: USER, gid: USER };

/** A page file with one node. */
async function newPageFile(mode: number, gid: number = USER): Promise<string> {
  const path = join(newFolder(0o777, USER), 'a.part');
  await runAll(
    [
      ['create', path],
      ['append', path, 'node'],
    ],
    asUser,
  );
  rmSync(`${path}.lock`);
  chownSync(path, USER, gid);
  chmodSync(path, mode);
  return path;
}

const ownership = (path: string): object => {
  const { mode, uid, gid } = statSync(path);
  return { mode: (mode & 0o777).toString(8), uid, gid };
};

describe.runIf(process.getuid?.() === 0)('files beside the page file of another user', () => {
  test('are of that user when root makes them', async () => {
    const path = await newPageFile(0o640, GROUP);
    const expected = { mode: '640', uid: USER, gid: GROUP };
    const [copy, recovered, map] = ['b.part', 'c.part', 'map'].map((name) => join(dirname(path), name)) as [
      string,
      string,
      string,
    ];
    await runAll(
      [
        ['append', path, 'more'],
        ['compact', path, copy, '-q'],
        ['recover', path, recovered, '--map', map, '-q'],
        ['compact', path, '--replace', '-q'],
      ],
      {},
    );
    for (const each of [path, copy, recovered, map]) expect(ownership(each)).toEqual(expected);
    for (const each of [path, copy, recovered]) expect(ownership(`${each}.lock`)).toEqual(expected);
    await runAll(
      [path, copy, recovered].map((each) => ['append', each, 'mine']),
      asUser,
    );
  });

  test.runIf(canRefuse)(
    'also those of root who was killed in an update, or where the system has no locks',
    async () => {
      const path = await newPageFile(0o600);
      const env = { ...refuse({ REFUSE_LOCKS: 'ENOLCK' }), ...KILL_AT_FOLDER_SYNC };
      expect((await run(['update', path, '1:0', 'done'], { env })).exit).toBe(null);
      for (const name of ['lock', 'lock.pid', 'journal']) {
        expect(ownership(`${path}.${name}`)).toEqual({ mode: '600', uid: USER, gid: USER });
      }
      expect(await run(['read', path, '1:0'], asUser)).toMatchObject({ exit: 0, stdout: 'node' });
      await runAll([['append', path, 'mine', '--break-lock']], asUser);
      expect(existsSync(`${path}.journal`)).toBe(false);
    },
  );

  test.runIf(canRefuse)('where their owner cannot be set have modes that let the user in', async () => {
    const path = await newPageFile(0o600);
    const env = { ...refuse({ REFUSE_OWNER: 'EPERM' }), ...KILL_AT_FOLDER_SYNC };
    expect((await run(['update', path, '1:0', 'done'], { env })).exit).toBe(null);
    expect(await run(['read', path, '1:0'], asUser)).toMatchObject({ exit: 0, stdout: 'node' });
    await runAll([['append', path, 'mine']], asUser);
  });

  test('let the user in when another member of the group makes them', async () => {
    const path = await newPageFile(0o660, GROUP);
    const { uid, gid } = { uid: OTHER, gid: GROUP };
    await runAll([['append', path, 'more']], { uid, gid });
    expect(statSync(`${path}.lock`)).toMatchObject({ uid, gid });
    await runAll([['append', path, 'mine']], asUser);
  });

  test('are shared by the next writer once the page file has been given away', async () => {
    const path = join(newFolder(0o777, 0), 'a.part');
    await runAll([['create', path]], {});
    chownSync(path, USER, USER);
    expect(await run(['append', path, 'mine'], asUser)).toMatchObject({
      exit: 3,
      stderr: expect.stringContaining('if it is of another user') as string,
    });
    await runAll([['append', path, 'more']], {});
    await runAll([['append', path, 'mine']], asUser);
  });
});
