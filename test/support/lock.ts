import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterEach } from 'vitest';
import { PageStore } from '../../src/store/page-store.ts';
import { BIN } from './cli.ts';
import { temporaryFolder } from './files.ts';

/** What a machine has on which fs-native-extensions cannot be loaded. */
export const noModule = async (): Promise<undefined> => undefined;

/** Files, each in a folder of its own, so that what a lock leaves beside it is seen. */
export interface LockFolder {
  readonly newFile: () => string;
  readonly newPageFile: () => Promise<string>;
  readonly namesBeside: (path: string) => string[];
}

/** To be called at the top of a test file. */
export function lockFolder(): LockFolder {
  const folder = temporaryFolder();
  let folders = 0;
  const newFile = (): string => {
    const below = join(folder, String(folders++));
    mkdirSync(below);
    const path = join(below, 'file');
    writeFileSync(path, 'content');
    return path;
  };
  return {
    newFile,
    newPageFile: async () => {
      const path = `${newFile()}.part`;
      await (await PageStore.create(path)).close();
      return path;
    },
    namesBeside: (path) => readdirSync(join(path, '..')).toSorted(),
  };
}

/** A process that has a page file open for writing. */
export interface LockHolderProcess {
  readonly pid: number;
  /** Sends a signal. */
  kill(signal: NodeJS.Signals): void;
  /** Resolves when it has ended, and its parent knows. */
  readonly ended: Promise<number | null>;
  /** Ends its input: it commits, closes the file, and ends. */
  finish(): Promise<number | null>;
}

const running = new Set<ChildProcess>();

/** To be called at the top of a test file: no holder outlives its test. */
export function killHoldersAfterEach(): void {
  afterEach(() => {
    for (const child of running) child.kill('SIGKILL');
  });
}

/** Starts an `append` that waits for input. Resolves when it has the lock, and nothing but that beside the file. @param bin - as of `publicCopy` */
export async function startHolder(path: string, bin: string = BIN): Promise<LockHolderProcess> {
  const child = spawn(process.execPath, [bin, 'append', path], { stdio: ['pipe', 'ignore', 'inherit'] });
  running.add(child);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (exit) => {
      running.delete(child);
      resolve(exit);
    });
  });
  const pid = child.pid ?? 0;
  const making = (name: string): boolean => name.endsWith('.new');
  await until(
    () =>
      !readdirSync(dirname(path)).some(making) &&
      [`${path}.lock`, `${path}.lock.pid`].some((name) => textOf(name).includes(`"pid":${pid},`)),
  );
  return {
    pid,
    kill: (signal) => child.kill(signal),
    ended,
    finish: () => {
      child.stdin.end();
      return ended;
    },
  };
}

/** Waits until something is so. */
export async function until(condition: () => boolean): Promise<void> {
  for (let tries = 0; !condition(); tries++) {
    if (tries === 3000) throw new Error('it did not come about within 30 seconds');
    await setTimeout(10);
  }
}

/** What a file says; nothing where there is none. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
