import { type FileHandle, lstat, open, realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ioError, syncDirectory, unlessMissing } from '../disk/node-fs.ts';
import { NewFile } from '../disk/node-new-file.ts';
import { ownershipOfCopy } from '../disk/node-owner.ts';
import { PageStoreError } from '../errors.ts';
import { FILE_MAGIC } from '../format/file-header.ts';
import type { MovedRun } from '../recover/report.ts';
import type { MovedPage } from '../transfer/node-packer.ts';
import { Output } from './context.ts';

/** How a complete file gets its name. */
interface Publication {
  readonly file: NewFile;
  readonly target: string;
  readonly replace: boolean;
  readonly sync: boolean;
}

/**
 * A file that gets its name when it is complete, so that half a file never replaces a good one. Pipes and devices are
 * written in place. Every call may reject because of an earlier write.
 */
export class OutputFile extends Output {
  readonly isTerminal = false;
  readonly closed = false;
  readonly #path: string;
  readonly #action: string;
  readonly #publication: Publication | undefined;
  #handle: FileHandle | undefined;

  private constructor(path: string, action: string, handle: FileHandle, publication?: Publication) {
    super();
    this.#path = path;
    this.#action = action;
    this.#handle = handle;
    this.#publication = publication;
  }

  /** Replaces an existing file. @throws {@link PageStoreError} `IO`; `FILE_EXISTS` for a page file */
  static async forReport(path: string): Promise<OutputFile> {
    const action = 'write the report, which is not complete';
    try {
      const target = await reportTarget(path);
      if (target === undefined) return new OutputFile(path, action, await open(path, 'w'));
      const file = await NewFile.open(target);
      return new OutputFile(path, action, file.handle, { file, target, replace: true, sync: false });
    } catch (error) {
      throw ioError(path, 'open to write the report', error);
    }
  }

  /** @param source - the file whose refs or keys are mapped; the map gets its permissions. Default: those of new files */
  static async forMap(path: string, source: string | undefined, replace: boolean): Promise<OutputFile> {
    try {
      const existing = await unlessMissing(stat(path));
      if (existing && !existing.isFile()) return new OutputFile(path, 'write', await open(path, 'w'));
      if (existing && !replace) {
        const message = 'the map already exists; use another name, or --force to replace it';
        throw new PageStoreError('FILE_EXISTS', message, { file: path });
      }
      const target = existing ? await realpath(path) : path;
      const { mode, owner } = source === undefined ? {} : await ownershipOfCopy(source);
      const file = await NewFile.open(target, mode, owner);
      return new OutputFile(path, 'write', file.handle, { file, target, replace, sync: true });
    } catch (error) {
      throw ioError(path, 'create', error);
    }
  }

  /** Writes the rest, and syncs a map. It has no name yet. If that fails, nothing is left of it. */
  async finish(): Promise<void> {
    await this.#orDiscard(async () => {
      await this.flush();
      if (this.#publication?.sync === true) await this.#handle?.datasync();
      await this.#close();
    });
  }

  /** Gives the finished file its name. Until it is confirmed, it can be discarded. */
  async publish(): Promise<void> {
    const publication = this.#publication;
    if (publication === undefined) return;
    const { file, target, replace, sync } = publication;
    await this.#orDiscard(async () => {
      await file.publish(replace);
      if (sync) await syncDirectory(dirname(target));
    });
  }

  async confirm(): Promise<void> {
    await this.#publication?.file.confirm();
  }

  /** All of it. */
  async complete(): Promise<void> {
    await this.finish();
    await this.publish();
    await this.confirm();
  }

  /** Removes the file, and brings a file back that it has replaced. */
  async discard(): Promise<void> {
    await this.#close().catch(() => undefined);
    await this.#publication?.file.discard().catch(() => undefined);
  }

  async #orDiscard(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      await this.discard();
      throw ioError(this.#path, this.#action, error);
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  protected async send(bytes: Uint8Array): Promise<void> {
    for (let done = 0; done < bytes.length;) {
      let written = 0;
      try {
        written = (await this.#handle?.write(bytes, done, bytes.length - done))?.bytesWritten ?? 0;
      } catch (error) {
        throw ioError(this.#path, this.#action, error);
      }
      // A device that accepts nothing would loop forever.
      if (written === 0) throw ioError(this.#path, this.#action, undefined);
      done += written;
    }
  }
}

/** The regular file that a report replaces or creates; undefined for a pipe, a device, or a dangling link. */
async function reportTarget(path: string): Promise<string | undefined> {
  const existing = await unlessMissing(stat(path));
  if (existing === undefined) return (await unlessMissing(lstat(path))) === undefined ? path : undefined;
  if (!existing.isFile()) return undefined;
  const target = await realpath(path);
  const handle = await open(target, 'r+');
  try {
    const { buffer } = await handle.read(Buffer.alloc(8), 0, 8, 0);
    if (buffer.readBigUInt64LE(0) !== FILE_MAGIC) return target;
  } finally {
    await handle.close();
  }
  throw new PageStoreError('FILE_EXISTS', 'the report would overwrite a page file; name another --output', {
    file: path,
  });
}

const [SPACE, LINE_FEED] = [0x20, 0x0a];

/** Writes a line of a map for each node of a page: the old ref, a space and the new ref. */
export async function writeMovedPage(map: Output, moved: MovedPage): Promise<void> {
  const { block, count, newBlocks, newSlots } = moved;
  for (let slot = 0; slot < count; slot++) {
    const [newBlock, newSlot] = [newBlocks[slot] as number, newSlots[slot] as number]; // slot < count
    if (newBlock === 0) continue; // a lost slot has no new ref
    while (!map.tryWriteRef(block, slot, SPACE)) await map.flush();
    while (!map.tryWriteRef(newBlock, newSlot, LINE_FEED)) await map.flush();
  }
}

/** As {@link writeMovedPage}, for nodes in consecutive slots. */
export async function writeMovedRun(map: Output, { block, slot, newBlock, newSlot, count }: MovedRun): Promise<void> {
  for (let index = 0; index < count; index++) {
    while (!map.tryWriteRef(block, slot + index, SPACE)) await map.flush();
    while (!map.tryWriteRef(newBlock, newSlot + index, LINE_FEED)) await map.flush();
  }
}
