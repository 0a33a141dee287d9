import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';

/** What most file systems take. */
const MAX_NAME_BYTES = 255;

/** Of the start of a long name. What is left has room for the hash and for each suffix, also for one after another. */
const KEPT_BYTES = 160;

const HASH_DIGITS = 16;

/**
 * The path of a file beside another one: its path and `suffix`. Where that name would be too long, it has the start of the
 * long name and a hash of all of it, so that every command finds the same file.
 */
export function pathBeside(path: string, suffix: string): string {
  const name = basename(path);
  if (Buffer.byteLength(name) + Buffer.byteLength(suffix) <= MAX_NAME_BYTES) return `${path}${suffix}`;
  // As a stream, so that a character that was cut is left out.
  const start = new TextDecoder().decode(Buffer.from(name).subarray(0, KEPT_BYTES), { stream: true });
  const hash = createHash('sha256').update(name).digest('hex').slice(0, HASH_DIGITS);
  return join(dirname(path), `${start}.${hash}${suffix}`);
}
