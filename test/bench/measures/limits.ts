import { join } from 'node:path';
import { type Course, gigabytesPerSecond } from '../course.ts';
import { LIMITS } from '../limits.ts';
import { type Entrant, race } from '../race.ts';
import type { Measure } from '../result.ts';
import { FILLED_FILE, filledFolder } from './filled-file.ts';

/** What the machine does at most. That of one sync is in the table of the durable appends. */
export async function limits(course: Course): Promise<Measure> {
  const path = join(await filledFolder(course), FILLED_FILE);
  const entrants = LIMITS.map(({ id }) => limitEntrant(course, id, 'bare', path));
  return {
    name: 'limits',
    title: 'What the machine does at most, one thread',
    unit: 'GB/s',
    better: 'higher',
    opponents: [],
    rows: await race(
      entrants.filter(({ name }) => course.matches(name)),
      course.settings.rounds,
      course.settings.warmUp,
    ),
    aims: () => [],
  };
}

/** One of the limits as a rival. @param path - the file that it reads, or writes beside */
export function limitEntrant(course: Course, id: string, engine: string, path: string): Entrant {
  const way = LIMITS.findIndex((limit) => limit.id === id);
  const limit = LIMITS[way];
  if (limit === undefined) throw new Error(`there is no limit '${id}'`);
  return course.lasting(
    { name: `bare: ${limit.name}`, engine },
    () => course.process('limit', { peer: 'bare', way, folder: path }),
    gigabytesPerSecond,
  );
}
