import { KeyArena } from './key-arena.ts';

// A module is evaluated once in each thread, so all of this is the thread's own.

/** Idle arenas that are kept for later calls; more come only from calls within calls. */
const MAX_IDLE = 8;

/** Keys of one arena begin so far from those of the next that neither reaches the other's: 16 TiB of keys. */
const KEYS_APART = 2 ** 44;
const PLACES = 512;

let arenaCount = 0;

/** An arena that refuses the keys of the others. */
function newArena(): KeyArena {
  return new KeyArena((arenaCount++ % PLACES) * KEYS_APART);
}

let arenaOfThread: KeyArena | undefined;
const idle: KeyArena[] = [];

/**
 * The arena of this thread; each thread has its own. `withArena` gives it out, and resets it, whenever no call of
 * `withArena` has it, so keys that are to outlive such a call belong into an arena of one's own.
 */
export function threadArena(): KeyArena {
  if (arenaOfThread === undefined) idle.push((arenaOfThread = newArena()));
  return arenaOfThread;
}

/**
 * Calls `use` with an arena that nobody else is given meanwhile, and resets it afterwards, also when `use` throws.
 * Where `use` returns a promise, the reset waits until that is settled. The arena is that of the thread; while another
 * call has it, as one that this call is made in, or one that waits for its promise, it is another one. So no call
 * resets the keys of a call that is still running.
 * @returns what `use` returns, and for a promise one with its outcome, settled after the reset
 */
export function withArena<T>(use: (arena: KeyArena) => T): T {
  threadArena();
  const arena = idle.pop() ?? newArena();
  let result: T;
  let pending: boolean;
  try {
    result = use(arena);
    pending = isThenable(result);
  } catch (error) {
    giveBack(arena);
    throw error;
  }
  if (pending) return Promise.resolve(result).finally(() => giveBack(arena)) as T;
  giveBack(arena);
  return result;
}

function giveBack(arena: KeyArena): void {
  arena.reset();
  // The thread's own is on top, and so the first to be used again.
  if (arena === arenaOfThread) idle.push(arena);
  else if (idle.length < MAX_IDLE) idle.unshift(arena);
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return value !== null && typeof value === 'object' && 'then' in value && typeof value.then === 'function';
}
