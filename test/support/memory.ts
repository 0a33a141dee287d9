import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { random } from './nodes.ts';

const TOOL = fileURLToPath(new URL('../../bin/artrie-pages.js', import.meta.url));

/**
 * Makes a process tell, as the last thing on stderr, the most memory that it ever had resident, in KiB: on Linux the mark of
 * its own, since `ru_maxrss` is at least that of the process which started it.
 */
const TELL = `data:text/javascript,${encodeURIComponent(
  [
    "import{readFileSync,writeSync}from'node:fs';",
    "const own=()=>/VmHWM:\\s+(\\d+)/.exec(readFileSync('/proc/self/status','latin1'))[1];",
    "const peak=()=>process.platform==='linux'?own():process.resourceUsage().maxRSS;",
    "process.on('exit',()=>writeSync(2,`\\nmaxrss ${peak()}\\n`))",
  ].join(''),
)}`;

/** Runs node with these arguments, `input` as its standard input, and returns its peak memory in bytes. */
async function peakOf(args: readonly string[], input?: Iterable<Buffer>): Promise<number> {
  const child = spawn(process.execPath, ['--import', TELL, ...args], { stdio: ['pipe', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4000)));
  const exited = once(child, 'close');
  for (const chunk of input ?? []) if (!child.stdin.write(chunk)) await once(child.stdin, 'drain');
  child.stdin.end();
  const [code] = (await exited) as [number | null];
  const told = /maxrss (\d+)/.exec(stderr);
  if (code !== 0 || told === null) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
  return 1024 * Number(told[1]);
}

/** Peak memory of a Node process that does nothing, in bytes: the median of five. */
export async function idlePeak(): Promise<number> {
  const peaks: number[] = [];
  for (let round = 0; round < 5; round++) peaks.push(await peakOf(['-e', '0']));
  return peaks.toSorted((a, b) => a - b)[2]!;
}

/** Peak memory of one run of the tool, in bytes. */
export const toolPeak = (args: readonly string[], input?: Iterable<Buffer>): Promise<number> =>
  peakOf([TOOL, ...args], input);

/** Lines of 6 to 600 bytes, 43 on average, until there are so many bytes. */
export function* lines(totalBytes: number): Generator<Buffer> {
  const next = random(7);
  const noise = Buffer.from(Array.from({ length: 4096 }, () => 33 + Math.floor(next() * 90)));
  for (let made = 0; made < totalBytes;) {
    const chunk = Buffer.alloc(65_536);
    let at = 0;
    for (;;) {
      const kind = next();
      const length =
        kind < 0.7
          ? 6 + Math.floor(next() * 19)
          : kind < 0.95
            ? 25 + Math.floor(next() * 72)
            : 97 + Math.floor(next() * 504);
      if (at + length + 1 > chunk.length) break;
      noise.copy(chunk, at, Math.floor(next() * 3000), 4096);
      at += length;
      chunk[at++] = 10;
    }
    made += at;
    yield chunk.subarray(0, at);
  }
}
