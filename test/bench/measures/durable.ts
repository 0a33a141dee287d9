import { CONTENDERS } from '../contenders/durable-append.ts';
import type { Course } from '../course.ts';
import { raceDurably } from '../durable-race.ts';
import { rowOf } from '../race.ts';
import type { Measure } from '../result.ts';

/** One sync for each append, and one for groups of 10, 100 and 1,000. */
export async function durableAppends(course: Course): Promise<Measure> {
  const { rounds, nodes, sources } = course.settings;
  const engines = new Set<string>(course.peers.map(({ engine }) => engine));
  const contenders = CONTENDERS.filter(({ name, engine }) => engines.has(engine) && course.matches(name));
  const times = await raceDurably(
    // They are short, so there can be more rounds.
    { folder: course.folder(), rounds: 3 * rounds, warmUp: rounds, appends: Math.min(100, nodes), sources },
    contenders,
  );
  const single = 'own single append';
  return {
    name: 'durable',
    title: 'Durable appends of 64 bytes: alone, and so many together',
    unit: 'µs per append',
    better: 'lower',
    opponents: ['bare', 'sqlite', 'lmdb', single],
    rivalName: ({ name, kind }, to) =>
      to === single && kind !== '1' ? `${name.slice(0, name.indexOf(','))}, append` : undefined,
    rows: times.map(({ contender: { name, engine, group }, rounds }) =>
      rowOf({ name, engine, kind: String(group) }, rounds),
    ),
    aims({ kind }) {
      if (kind === '100') return [{ to: single, most: 0.02 }];
      if (kind !== '1') return [];
      return [
        { to: 'bare', most: 1.5 },
        { to: 'sqlite', most: 0.75 },
        { to: 'lmdb', most: 0.6 },
      ];
    },
    notes: [...new Set(times.flatMap(({ facts }) => facts))],
  };
}
