import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { bundle } from './bundle.ts';
import { Course, remove, type Settings } from './course.ts';
import { machineOf } from './machine.ts';
import { commandLineAppend } from './measures/command-line.ts';
import { durableAppends } from './measures/durable.ts';
import { growth } from './measures/growth.ts';
import { limits } from './measures/limits.ts';
import { bulkAppend, coldReads, scans, warmReads } from './measures/nodes.ts';
import { fileSizes, memory } from './measures/sizes.ts';
import { startup } from './measures/startup.ts';
import { verify } from './measures/verify.ts';
import { SOURCES } from './sources.ts';
import { type Measure, measureMarkdown, verdictsOf } from './result.ts';

/** All measures, in the order in which they are taken. */
const MEASURES: Readonly<Record<string, (course: Course) => Promise<Measure | readonly Measure[]>>> = {
  append: bulkAppend,
  'append-cli': commandLineAppend,
  durable: durableAppends,
  cold: coldReads,
  warm: warmReads,
  scan: scans,
  verify,
  size: fileSizes,
  memory,
  startup,
  growth,
  limits,
};

export interface BenchOptions extends Pick<
  Settings,
  'nodes' | 'rounds' | 'warmUp' | 'verifyMiB' | 'match' | 'withPeers'
> {
  /** URL of the library; the built one by default. */
  readonly library?: string;
  /** Where the files are made, below a folder of their own; the system's folder for temporary files by default. */
  readonly folder?: string;
  /** Names of measures; all by default. */
  readonly only?: readonly string[];
  /** A file for the results. */
  readonly json?: string;
  readonly print: (text: string) => void;
}

/** Below this, code is still being compiled while it is measured, and a file is a matter of whole blocks. */
const LEAST = { nodes: 1_000_000, rounds: 3 };

const isLongEnough = ({ nodes, rounds }: BenchOptions): boolean => nodes >= LEAST.nodes && rounds >= LEAST.rounds;
const asItIs = (measure: Measure): Measure => measure;
const withoutAims = (measure: Measure): Measure => ({ ...measure, aims: () => [] });

const fromHere = (path: string): URL => new URL(path, import.meta.url);

/** Takes the measures, and prints a table after each. */
export async function runBench(options: BenchOptions): Promise<readonly Measure[]> {
  const { only = Object.keys(MEASURES), print } = options;
  const unknown = only.find((name) => !(name in MEASURES));
  if (unknown !== undefined)
    throw new RangeError(`there is no measure '${unknown}': take some of ${Object.keys(MEASURES).join(', ')}`);
  // Where they cannot be written, that is better known now.
  if (options.json !== undefined) writeFileSync(options.json, '');
  mkdirSync(options.folder ?? tmpdir(), { recursive: true });
  const folder = mkdtempSync(join(options.folder ?? tmpdir(), 'artrie-pages-bench-'));
  // A run that is stopped leaves no gigabytes behind.
  const stop = (): never => {
    remove(folder);
    process.exit(130);
  };
  process.once('SIGINT', stop).once('SIGTERM', stop);
  try {
    const course = new Course({
      ...options,
      folder,
      child: await bundle('task-child.ts', folder),
      sources: { ...SOURCES, ...(options.library === undefined ? {} : { library: options.library }) },
      tool: fileURLToPath(fromHere('../../bin/artrie-pages.js')),
    });
    const machine = machineOf(folder);
    const { cores, cpu, memoryGiB, kernel, node, fileSystem } = machine;
    const command = ['npm run bench', ...(process.argv.length > 2 ? ['--'] : []), ...process.argv.slice(2)].join(' ');
    print(`machine: ${cores} x ${cpu}, ${memoryGiB} GiB, ${kernel}, Node ${node}, ${fileSystem}`);
    print(`command: ${command}`);
    print(`${options.nodes} nodes; interleaved rounds: ${options.rounds} after ${options.warmUp} of warm-up`);
    if (!isLongEnough(options)) print('With so few nodes or rounds nothing is held against an aim.');
    if (course.missing.length > 0) print(`not taking part: ${course.missing.join(', ')}`);
    print('');
    const measures: Measure[] = [];
    const seconds: Record<string, number> = {};
    for (const name of only) {
      const began = performance.now();
      const taken = [await MEASURES[name]!(course)].flat().map(isLongEnough(options) ? asItIs : withoutAims);
      seconds[name] = Math.round((performance.now() - began) / 100) / 10;
      for (const measure of taken) {
        measures.push(measure);
        print(measureMarkdown(measure));
      }
    }
    print(`seconds taken: ${JSON.stringify(seconds)}`);
    if (options.json !== undefined) {
      const { nodes, rounds, warmUp, verifyMiB } = options;
      const told = measures.map((measure) => ({ ...measure, verdicts: verdictsOf(measure) }));
      const report = {
        machine,
        command,
        nodes,
        rounds,
        warmUp,
        verifyMiB,
        missing: course.missing,
        seconds,
        measures: told,
      };
      writeFileSync(options.json, `${JSON.stringify(report, undefined, 2)}\n`);
    }
    return measures;
  } finally {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    remove(folder);
  }
}
