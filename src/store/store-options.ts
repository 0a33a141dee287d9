import type { Access } from '../disk/node-block-file.ts';
import type { LockOptions } from '../disk/node-lock.ts';
import type { PageFormat } from '../format/page-header.ts';

/** The options of the lock have a meaning for a path that is opened to write. */
export interface OpenOptions extends LockOptions {
  /** `write` by default. A file opened to `read` is never written to. */
  readonly access?: Access;
  /** The format of new pages, and of the page that appending goes on in; that of the file's last page by default. */
  readonly pageFormat?: PageFormat;
  /**
   * Whether a node that is equal to one which this store has appended before is not stored again, and gets the ref of
   * that one. False by default: the store keeps the bytes of each different node in memory, and some 40 more. It forgets
   * them with each `update`, `allocate`, `free` and `finalize`, and may where an append fails: what comes then is stored again.
   */
  readonly dedupe?: boolean;
  /**
   * Bytes of pages that are kept once they were read, for `read`, `view` and `readPage`: 64 MiB by default, and one page at the
   * least. They are taken as pages are read, 256 KiB each; the directory of a V2 page comes on top, with 12 bytes for each node.
   */
  readonly cacheBytes?: number;
}

/** The options of the lock have a meaning for a path. */
export interface CreateOptions extends LockOptions {
  /** `v1` by default: every reader of the format can read it at any time. */
  readonly pageFormat?: PageFormat;
  /** Whether to take the place of a file that exists. */
  readonly replace?: boolean;
  /** As in {@link OpenOptions}. */
  readonly dedupe?: boolean;
  /** As in {@link OpenOptions}. */
  readonly cacheBytes?: number;
}
