/**
 * The one seam that all input and output passes: a row of bytes that can be read and written at any place.
 * A file is one, memory is another; so can be a store of 256 KiB objects, which is why callers read and
 * write within one block at a time and never count on bytes that no `sync` has covered.
 *
 * Positions are byte offsets from the start, up to 2^42. Every method rejects with a PageStoreError of code
 * `IO` where the system below it fails.
 */
export interface BlockFile {
  /** What messages call it: for a file, the path as the caller gave it. */
  readonly name: string;
  /** Size in bytes. */
  size(): Promise<number>;
  /** Fills `target` from `position`. @returns the bytes read: fewer than asked for only at the end of the file */
  read(target: Uint8Array, position: number): Promise<number>;
  /** Writes the whole of `source` at `position`; the file grows where it ends before that. */
  write(source: Uint8Array, position: number): Promise<void>;
  /** Cuts the file, or lengthens it with zeros. */
  truncate(bytes: number): Promise<void>;
  /** Resolves when everything written before is on the device. After a failure nothing is known of those bytes: see DiskManager. */
  sync(): Promise<void>;
  close(): Promise<void>;
}
