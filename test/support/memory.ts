import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { random } from './nodes.ts';

const TOOL = fileURLToPath(new URL('../../bin/artrie-pages.js', import.meta.url));

/** Peak memory of a process, in bytes. */
export interface Peak {
  /** All resident memory. */
  readonly resident: number;
  /**
   * Without the resident pages of files, or the same where the system does not count those. Nearly all of them are code of
   * the Node executable, which the system shares between processes and can drop at any time; how many of them a command
   * touches depends on the version of Node: 2 to 6 MiB with Node 20, 8 with 22, 11 with 24.
   */
  readonly own: number;
}

/**
 * Makes a process print the peak of its resident memory and its resident pages of files, in KiB, as the last thing on
 * standard error. On Linux the peak is `VmHWM`, since `ru_maxrss` is at least that of the process that started it.
 */
const PRINT_PEAK = `data:text/javascript,${encodeURIComponent(
  [
    "import{readFileSync,writeSync}from'node:fs';",
    "const field=(name)=>new RegExp(name+':\\\\s+(\\\\d+)').exec(readFileSync('/proc/self/status','latin1'))[1];",
    "const peak=()=>process.platform==='linux'?field('VmHWM')+' '+field('RssFile'):process.resourceUsage().maxRSS+' 0';",
    "process.on('exit',()=>writeSync(2,`\\nmaxrss ${peak()}\\n`))",
  ].join(''),
)}`;

/** Runs node with these arguments and `input` as its standard input. */
async function peakOf(args: readonly string[], input?: Iterable<Buffer>): Promise<Peak> {
  const child = spawn(process.execPath, ['--import', PRINT_PEAK, ...args], { stdio: ['pipe', 'ignore', 'pipe'] });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr = (stderr + chunk.toString()).slice(-4000)));
  const exited = once(child, 'close');
  for (const chunk of input ?? []) if (!child.stdin.write(chunk)) await once(child.stdin, 'drain');
  child.stdin.end();
  const [code] = (await exited) as [number | null];
  const printed = /maxrss (\d+) (\d+)/.exec(stderr);
  if (code !== 0 || printed === null) throw new Error(`${args.join(' ')} ended with ${code}: ${stderr}`);
  const resident = 1024 * Number(printed[1]);
  return { resident, own: resident - 1024 * Number(printed[2]) };
}

/** Peak memory of a Node process that does nothing: the median of five. */
export async function idlePeak(): Promise<Peak> {
  const peaks: Peak[] = [];
  for (let round = 0; round < 5; round++) peaks.push(await peakOf(['-e', '0']));
  const median = (of: keyof Peak): number => peaks.map((peak) => peak[of]).toSorted((a, b) => a - b)[2]!;
  return { resident: median('resident'), own: median('own') };
}

/** Peak memory of one run of the command line. */
export const toolPeak = (args: readonly string[], input?: Iterable<Buffer>): Promise<Peak> =>
  peakOf([TOOL, ...args], input);

/** Node 20 touches few pages of its executable, so that limits hold for all resident memory; on later ones for a command's own. */
export const LIMITED: keyof Peak = process.versions.node.startsWith('20.') ? 'resident' : 'own';

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

/** A CSV file with rows of five cells, of 60 bytes on average. */
export function* csvRows(count: number): Generator<Buffer> {
  yield Buffer.from('id,name,number,quoted,note\n');
  for (let row = 0; row < count; row += 1000) {
    let text = '';
    for (let at = row; at < Math.min(row + 1000, count); at++)
      text += `${at * 7},name ${at},${(at * 2_654_435_761) % 1e9},"quoted, ""${at}""",${'x'.repeat(at % 60)}\n`;
    yield Buffer.from(text);
  }
}
