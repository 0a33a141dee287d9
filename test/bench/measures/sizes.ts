import { join } from 'node:path';
import { idlePeak, toolPeak } from '../../support/memory.ts';
import { bytesOf, type Course } from '../course.ts';
import { type Entrant, race, type Row, rowOf } from '../race.ts';
import type { Measure } from '../result.ts';
import { makeWorkload } from '../workload.ts';
import { FILLED_FILE, filledFolder } from './filled-file.ts';
import { linesFile } from './lines-file.ts';

const MIB = 2 ** 20;

/** What a file takes of the disk, divided by the bytes of its nodes. */
export async function fileSizes(course: Course): Promise<Measure> {
  const { payloadBytes } = makeWorkload(course.settings.nodes);
  const rows: Row[] = [];
  for (const peer of course.peers.filter(({ id }) => course.matches(id) && id !== 'bare')) {
    const bytes = bytesOf(join(await course.filesOf(peer), peer.data));
    rows.push(rowOf({ name: peer.id, engine: peer.engine }, [bytes / payloadBytes]));
  }
  return {
    name: 'size',
    title: 'Size of the file',
    unit: 'file / payload',
    better: 'lower',
    opponents: ['lmdb', 'sqlite', 'level'],
    rows,
    aims: ({ name }) => [{ most: name.endsWith('v2') ? 1.12 : 1.2 }],
  };
}

/** By how much an operation raises the memory that its process has resident, at most. */
export async function memory(course: Course): Promise<Measure> {
  const filled = await filledFolder(course);
  const entrants: Entrant[] = [];
  for (const peer of course.peers) {
    const { id, engine } = peer;
    for (const [way, { name }] of peer.appends.entries()) {
      entrants.push(
        course.fresh(
          { name: `bulk append: ${name}`, engine, kind: 'append' },
          () => course.process('append', { peer: id, way, folder: course.folder() }),
          ({ addedBytes }) => addedBytes / MIB,
        ),
      );
    }
    for (const [way, { name }] of peer.scans.entries()) {
      if (!course.matches(name)) continue;
      const folder = await course.filesOf(peer);
      entrants.push(
        course.fresh(
          { name: `scan: ${name}`, engine, kind: 'scan' },
          () => course.process('scan', { peer: id, way, folder }),
          ({ addedBytes }) => addedBytes / MIB,
        ),
      );
    }
  }
  entrants.push(
    course.fresh(
      { name: 'verify: artrie-pages v1, verify', engine: 'artrie-pages', kind: 'verify' },
      () => course.process('check', { peer: 'artrie-pages-v1', way: 0, folder: filled }),
      ({ addedBytes }) => addedBytes / MIB,
    ),
    ...commands(course, join(filled, FILLED_FILE)),
  );
  return {
    name: 'memory',
    title: 'Memory added',
    unit: 'MiB',
    better: 'lower',
    opponents: ['lmdb', 'sqlite', 'level', 'bare'],
    rows: await race(
      entrants.filter(({ name }) => course.matches(name)),
      Math.min(3, course.settings.rounds),
      0,
    ),
    // A command is beside a Node that does nothing, and has touched none of the code that any work needs.
    aims: ({ name }) => (name.startsWith('command') ? [] : [{ most: 8 }]),
    notes: [
      'Peak of resident memory during the operation, minus what was resident before, in a new process each time; of commands, minus the peak of `node -e 0`.',
      'What a process reads through mapped files counts as well.',
    ],
  };
}

function commands(course: Course, filled: string): Entrant[] {
  let idle: number | undefined;
  const { path: lines } = linesFile(course);
  const folder = course.folder();
  let files = 0;
  const command = (name: string, args: () => Promise<string[]>): Entrant => ({
    name: `command ${name}`,
    engine: 'artrie-pages',
    kind: 'command',
    async run() {
      idle ??= (await idlePeak()).resident;
      return ((await toolPeak(await args())).resident - idle) / MIB;
    },
  });
  return [
    command('append --quiet --input FILE', async () => {
      const file = join(folder, String(files++));
      await toolPeak(['create', file]);
      return ['append', '--quiet', '--input', lines, file];
    }),
    ...['1', '2'].map((jobs) => command(`verify --jobs ${jobs}`, async () => ['verify', '--jobs', jobs, filled])),
    command('read --all', async () => ['read', '--all', filled]),
  ];
}
