import { setImmediate } from 'node:timers/promises';
import { isBucket, placeText, type TrieRecord } from './record.ts';
import { OUTSIDE, TermRange, type TermBounds } from './term-range.ts';
import type { TrieFile } from './trie-file.ts';

/** A node or a bucket on the path to the current term. */
interface Frame {
  readonly target: number;
  record: TrieRecord;
  /** Length of the path, with the prefix of the node. */
  readonly length: number;
  /** As of {@link TermRange}, of that path. */
  readonly state: number;
  /** Children or entries that were visited. */
  visited: number;
  /** Whether the path itself is a term that has not been returned yet. */
  isTermDue: boolean;
}

/** So many nodes take some milliseconds. */
const NODES_PER_TURN = 8192;

const FIRST_PATH_BYTES = 256;

/**
 * Walks the terms of a trie in byte order, without a promise for each. It keeps the nodes on the path to the current term,
 * and no others:
 *
 * ```ts
 * for (let found = cursor.next(); found !== false; found = cursor.next()) {
 *   if (found === undefined) await cursor.load();
 *   else use(cursor.term, cursor.value);
 * }
 * ```
 */
export class TrieCursor {
  readonly #file: TrieFile;
  readonly #range: TermRange;
  readonly #isReverse: boolean;
  readonly #stack: Frame[] = [];
  /** The records of the stack: one that is reached again from itself would never end. */
  readonly #onPath = new Set<number>();
  #path = new Uint8Array(FIRST_PATH_BYTES);
  #termBytes = 0;
  #value: Uint8Array | undefined;
  /** The record to visit next, with the length and the state of its path. */
  #target: number | undefined;
  #length = 0;
  #state: number;
  #record: TrieRecord | undefined;
  #nodesLeftInTurn = NODES_PER_TURN;
  #nodesWithoutTerm = 0;

  constructor(file: TrieFile, bounds: TermBounds, isReverse: boolean) {
    this.#file = file;
    this.#range = new TermRange(bounds);
    this.#isReverse = isReverse;
    this.#state = this.#range.start;
    this.#target = this.#state === OUTSIDE ? undefined : file.root;
  }

  /** The current term: a view, valid until `next` is called. */
  get term(): Uint8Array {
    return this.#path.subarray(0, this.#termBytes);
  }

  /** The value of the current term: a view, which does not change; undefined if it has none. */
  get value(): Uint8Array | undefined {
    return this.#value;
  }

  /**
   * Moves to the next term.
   * @returns true if there is one, false at the end, undefined if `load` must be awaited first
   * @throws {@link PageStoreError} `TRIE_NODE`, `TRIE_POINTER`, `TRIE_CYCLE`
   */
  next(): boolean | undefined {
    for (;;) {
      if (this.#target !== undefined) {
        if (this.#nodesLeftInTurn === 0) return undefined;
        const record = this.#record ?? this.#file.tryRead(this.#target);
        if (record === undefined) return undefined;
        this.#enter(this.#target, record);
      }
      const frame = this.#stack.at(-1);
      if (frame === undefined) return false;
      if (this.#advance(frame)) {
        this.#nodesWithoutTerm = 0;
        return true;
      }
    }
  }

  /** Reads what `next` needs, and gives the event loop a turn now and then. @throws as {@link TrieFile.read} */
  async load(): Promise<void> {
    if (this.#nodesLeftInTurn === 0) {
      await setImmediate();
      this.#file.store.disk.signal?.throwIfAborted();
      this.#nodesLeftInTurn = NODES_PER_TURN;
    }
    if (this.#target === undefined) return;
    this.#record = await this.#file.read(this.#target, this.#stack.at(-1)?.target);
  }

  /** Puts a record on the stack, unless its prefix leads out of the range. */
  #enter(target: number, record: TrieRecord): void {
    this.#target = this.#record = undefined;
    this.#nodesLeftInTurn--;
    if (this.#onPath.has(target)) {
      throw this.#file.errorAt('TRIE_CYCLE', target, `the trie has a cycle: ${placeText(target)} is below itself`);
    }
    if (this.#nodesWithoutTerm++ > this.#file.maxNodes) {
      const message = `the walk passed ${this.#nodesWithoutTerm} nodes without a term, more than the file has: nodes are shared that have no term`;
      throw this.#file.errorAt('TRIE_CYCLE', target, message);
    }
    let [length, state, isTermDue] = [this.#length, this.#state, false];
    if (!isBucket(record)) {
      state = this.#range.nextAll(state, length, record.prefix);
      if (state === OUTSIDE) return;
      this.#put(record.prefix, length);
      length += record.prefix.length;
      const isFinal = target === this.#file.root ? this.#file.isRootFinal : record.isFinal;
      isTermDue = isFinal && this.#range.has(state);
    }
    this.#onPath.add(target);
    this.#stack.push({ target, record, length, state, visited: 0, isTermDue });
  }

  /** @returns whether the cursor is now at a term; else the frame has one child less to visit, or is removed */
  #advance(frame: Frame): boolean {
    const { record } = frame;
    const count = isBucket(record) ? record.suffixes.length : record.keys.length;
    const isLast = frame.visited === count;
    // A term comes before those that it begins.
    if (frame.isTermDue && !isBucket(record) && (isLast || !this.#isReverse)) {
      frame.isTermDue = false;
      this.#termBytes = frame.length;
      this.#value = record.value;
      // The value is a view, which would keep its page in memory while the nodes below are visited.
      if (record.value !== undefined) frame.record = { ...record, value: undefined };
      return true;
    }
    if (isLast) {
      this.#stack.pop();
      this.#onPath.delete(frame.target);
      return false;
    }
    const at = this.#isReverse ? count - 1 - frame.visited : frame.visited;
    frame.visited++;
    if (isBucket(record)) {
      const suffix = record.suffixes[at] as Uint8Array; // at < count
      if (!this.#range.has(this.#range.nextAll(frame.state, frame.length, suffix))) return false;
      this.#put(suffix, frame.length);
      this.#termBytes = frame.length + suffix.length;
      this.#value = record.values[at];
      return true;
    }
    const key = record.keys[at] as number; // at < count
    const state = this.#range.next(frame.state, frame.length, key);
    if (state === OUTSIDE) return false;
    this.#reserve(frame.length + 1);
    this.#path[frame.length] = key;
    this.#length = frame.length + 1;
    this.#state = state;
    this.#target = record.targets[at];
    return false;
  }

  #put(bytes: Uint8Array, offset: number): void {
    if (bytes.length === 0) return;
    this.#reserve(offset + bytes.length);
    this.#path.set(bytes, offset);
  }

  #reserve(bytes: number): void {
    if (bytes <= this.#path.length) return;
    const path = new Uint8Array(Math.max(bytes, 2 * this.#path.length));
    path.set(this.#path);
    this.#path = path;
  }
}
