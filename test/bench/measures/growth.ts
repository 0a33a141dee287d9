import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BLOCK_BYTES } from '../../../src/format/layout.ts';
import { writeSparseFile } from '../../support/sparse-file.ts';
import type { Course } from '../course.ts';
import { type Entrant, race, type Row, rowOf } from '../race.ts';
import type { Measure } from '../result.ts';

interface Size {
  readonly name: string;
  /** The larger file is what is judged, beside the smaller one. */
  readonly engine: string;
  readonly blocks: number;
}

const SIZES: readonly Size[] = [
  { name: 'open, read a node, close: 10 MiB', engine: 'small', blocks: (10 * 2 ** 20) / BLOCK_BYTES },
  { name: 'open, read a node, close: 10 GiB', engine: 'artrie-pages', blocks: (10 * 2 ** 30) / BLOCK_BYTES },
];

/** As many in both files. The last of them is far behind in the larger one. */
const PAGES = 8;

/** What opening a file and reading one node cost, as the file grows: in time, and in calls of the system. */
export async function growth(course: Course): Promise<Measure[]> {
  const folder = course.folder();
  const files = SIZES.map(({ name, engine, blocks }) => {
    const path = join(folder, String(blocks));
    writeSparseFile(path, blocks, PAGES);
    const block = 1 + Math.floor((blocks - 1) / Math.ceil(PAGES / 4)) * ((PAGES - 1) >> 2) + ((PAGES - 1) & 3);
    return { name, engine, path, block };
  });
  const times: Entrant[] = files.map(({ name, engine, path, block }) =>
    course.lasting(
      { name, engine },
      () => course.process('open-read', { peer: 'artrie-pages-v1', way: 0, folder: path, block }),
      ({ nanoseconds, units }) => nanoseconds / 1000 / units,
    ),
  );
  const shared = { better: 'lower', opponents: ['10 MiB'], rivalName: () => SIZES[0]!.name } as const;
  const time: Measure = {
    ...shared,
    name: 'growth',
    title: 'Cost as the file grows: time',
    unit: 'µs',
    rows: await race(times, course.settings.rounds, course.settings.warmUp),
    aims: () => [{ to: '10 MiB', most: 1.1 }],
    notes: [
      'The files are sparse; each header counts all blocks. At most 1.1 is what is taken for the same: the rest is noise.',
    ],
  };
  const calls: Row[] = [];
  const notes = ['Calls that concern the file, as strace sees them.'];
  for (const { name, engine, path, block } of files) {
    const count = await callsOn(course, path, block);
    if (count === undefined) notes.push(`${name}: not counted, since there is no strace that may trace here.`);
    else calls.push(rowOf({ name, engine }, [count]));
  }
  return [
    time,
    {
      ...shared,
      name: 'growth-calls',
      title: 'Cost as the file grows: system calls',
      unit: 'calls',
      rows: calls,
      aims: () => [{ to: '10 MiB', most: 1 }],
      notes,
    },
  ];
}

/** @returns how many calls of the system concern the file; nothing where strace is missing, or may not trace */
async function callsOn(course: Course, path: string, block: number): Promise<number | undefined> {
  const script = `
    const { PageStore } = await import(${JSON.stringify(course.settings.sources.library)});
    const store = await PageStore.open(${JSON.stringify(path)}, { access: 'read' });
    await store.read({ block: ${block}, slot: 0 });
    await store.close();
    console.log('read');`;
  const trace = `${path}.trace`;
  const strace = ['-f', '-o', trace, '-P', path, process.execPath, '--input-type=module', '-e', script];
  try {
    const { stdout } = await promisify(execFile)('strace', strace);
    if (stdout !== 'read\n') throw new Error(`what strace was to run printed ${stdout}`);
  } catch (error) {
    const { code, stderr = '' } = error as { code?: unknown; stderr?: string };
    if (code === 'ENOENT' || stderr.includes('ptrace')) return undefined;
    throw error;
  }
  // A call that another thread interrupts takes two lines, of which the second says so.
  const lines = readFileSync(trace, 'utf8').split('\n');
  return lines.filter((line) => /^\d+ +\w+\(/.test(line)).length;
}
