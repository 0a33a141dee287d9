import { readFileSync, realpathSync } from 'node:fs';
import { availableParallelism, cpus, release, totalmem, type } from 'node:os';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly memoryGiB: number;
  readonly kernel: string;
  readonly node: string;
  readonly fileSystem: string;
}

/** What a run has to say about where it was. */
export function machineOf(folder: string): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryGiB: Math.round(totalmem() / 2 ** 30),
    kernel: `${type()} ${release()}`,
    node: process.version,
    fileSystem: fileSystemOf(folder),
  };
}

/** The type of the innermost mount that the folder is in; only Linux says it in a file. */
function fileSystemOf(folder: string): string {
  const path = `${realpathSync(folder)}/`;
  let mounts: string;
  try {
    mounts = readFileSync('/proc/self/mounts', 'utf8');
  } catch {
    return 'unknown';
  }
  let [found, longest] = ['unknown', 0];
  for (const line of mounts.split('\n')) {
    const [, point = '', kind = ''] = line.split(' ');
    // A space in a mount point is written as \040.
    const prefix = `${point.replaceAll('\\040', ' ').replace(/\/$/, '')}/`;
    if (point !== '' && path.startsWith(prefix) && prefix.length >= longest) [found, longest] = [kind, prefix.length];
  }
  return found;
}
