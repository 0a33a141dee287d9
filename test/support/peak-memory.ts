import { readFileSync, writeFileSync } from 'node:fs';

/** Clears the high-water mark of this process's resident memory; see proc(5). */
const CLEAR_PEAK = '5';

/**
 * The most memory that this process had resident since {@link resetPeak}, or since it began, in bytes. Not `ru_maxrss`, which
 * a process on Linux inherits from the one that started it.
 */
export function peakBytes(): number {
  const status = statusOf();
  const kib = status === undefined ? undefined : /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
  return 1024 * (kib === undefined ? process.resourceUsage().maxRSS : Number(kib));
}

/** Forgets the peak so far, where the system can; elsewhere memory that was given back stays part of it. */
export function resetPeak(): void {
  if (statusOf() !== undefined) writeFileSync('/proc/self/clear_refs', CLEAR_PEAK);
}

function statusOf(): string | undefined {
  return process.platform === 'linux' ? readFileSync('/proc/self/status', 'latin1') : undefined;
}
