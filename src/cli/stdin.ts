import { fstatSync, read, type Stats } from 'node:fs';
import type { SocketConstructorOpts, TcpSocketConnectOpts } from 'node:net';
import { promisify } from 'node:util';

import { PageStoreError } from '../errors.ts';
import { type ByteSource, ChunkSource } from './byte-source.ts';

const PIPE_BYTES = 65_536;

/** Standard input, opened when it is first read: a command that does not read it must not touch it. */
export class StandardInput implements ByteSource {
  #source: ByteSource | undefined;

  async read(target: Uint8Array): Promise<number> {
    this.#source ??= openStandardInput();
    return this.#source.read(target);
  }
}

function openStandardInput(): ByteSource {
  const stats = inputStats();
  if (stats?.isDirectory() === true)
    throw new PageStoreError('IO', 'standard input is a directory (EISDIR)', { errno: 'EISDIR' });
  if (stats?.isFile() === true) return standardFile;
  const isPipe = stats?.isFIFO() === true || stats?.isSocket() === true;
  return new ChunkSource(isPipe ? pipeChunks() : (process.stdin as AsyncIterable<Uint8Array>));
}

const readDescriptor = promisify(read);

const standardFile: ByteSource = {
  async read(target) {
    return (await readDescriptor(0, target, 0, target.length, null)).bytesRead;
  },
};

/** How many bytes standard input has, where it is a file. */
export function standardInputBytes(): number | undefined {
  const stats = inputStats();
  return stats?.isFile() === true ? stats.size : undefined;
}

function inputStats(): Stats | undefined {
  try {
    return fstatSync(0);
  } catch {
    return undefined; // closed: reading it will say so
  }
}

/** Not process.stdin: it allocates 64 KiB for each chunk, which garbage collection does not keep up with. */
async function* pipeChunks(): AsyncGenerator<Uint8Array> {
  const { Socket } = await import('node:net');
  const buffer = Buffer.allocUnsafe(PIPE_BYTES);
  const state = { bytesRead: 0, ended: false, failure: undefined as Error | undefined, wake: nobodyWaits };
  // Documented for connections, and taken by the constructor as well.
  const options: SocketConstructorOpts & Pick<TcpSocketConnectOpts, 'onread'> = {
    fd: 0,
    readable: true,
    writable: false,
    onread: {
      buffer,
      callback: (bytes) => {
        state.bytesRead = bytes;
        state.wake();
        return false; // pauses: the buffer is in use until the next chunk is asked for
      },
    },
  };
  const socket = new Socket(options);
  socket.on('error', (error) => (state.failure = error));
  socket.on('close', () => {
    state.ended = true;
    state.wake();
  });
  socket.resume();
  while (!state.ended || state.bytesRead > 0) {
    if (state.bytesRead > 0) {
      yield buffer.subarray(0, state.bytesRead);
      state.bytesRead = 0;
      socket.resume();
    } else {
      await new Promise<void>((resolve) => (state.wake = resolve));
    }
  }
  if (state.failure) throw state.failure;
}

const nobodyWaits = (): void => undefined;
