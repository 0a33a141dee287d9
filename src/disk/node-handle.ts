import { fdatasyncSync, readSync, writeSync } from 'node:fs';
import type { FileHandle } from 'node:fs/promises';

/** What a block file needs of a `FileHandle` of node:fs; said here, so that users of the types need no others. */
export interface Handle {
  stat(): Promise<{ readonly size: number }>;
  read(target: Uint8Array, offset: number, length: number, position: number): Promise<{ readonly bytesRead: number }>;
  write(
    source: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  truncate(bytes: number): Promise<void>;
  datasync(): Promise<void>;
  close(): Promise<void>;
  /** Some of the same, holding up the process. */
  readonly now?: HandleNow;
}

/** Calls that are made at once, and return when they are done. */
export interface HandleNow {
  read(target: Uint8Array, offset: number, length: number, position: number): number;
  write(source: Uint8Array, offset: number, length: number, position: number): number;
  datasync(): void;
}

/** A handle that can also be used at once. */
export function asHandle(handle: FileHandle): Handle {
  return {
    stat: () => handle.stat(),
    read: (target, offset, length, position) => handle.read(target, offset, length, position),
    write: (source, offset, length, position) => handle.write(source, offset, length, position),
    truncate: (bytes) => handle.truncate(bytes),
    datasync: () => handle.datasync(),
    close: () => handle.close(),
    now: {
      read: (target, offset, length, position) => readSync(openFd(handle), target, offset, length, position),
      write: (source, offset, length, position) => writeSync(openFd(handle), source, offset, length, position),
      datasync: () => fdatasyncSync(openFd(handle)),
    },
  };
}

/** @throws an Error with the code EBADF once the file was closed, as asynchronous calls do: node:fs says of -1 that it is no descriptor */
function openFd({ fd }: FileHandle): number {
  if (fd >= 0) return fd;
  throw Object.assign(new Error('file closed'), { code: 'EBADF' });
}
