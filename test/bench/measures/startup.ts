import type { Course } from '../course.ts';
import { type Entrant, race } from '../race.ts';
import type { Measure } from '../result.ts';
import { runProgram } from '../run-program.ts';

/** How long the tool takes to start, beside a Node that does nothing. */
export async function startup(course: Course): Promise<Measure> {
  const entrant = (name: string, engine: string, args: readonly string[]): Entrant => ({
    name,
    engine,
    run: async () => 1000 * (await runProgram(process.execPath, args)).seconds,
  });
  const entrants = [
    entrant('artrie-pages --version', 'artrie-pages', [course.settings.tool, '--version']),
    entrant('node -e 0', 'node', ['-e', '0']),
  ];
  return {
    name: 'startup',
    title: 'Starting the tool',
    unit: 'ms',
    better: 'lower',
    opponents: ['node'],
    // It is short, so there can be more rounds.
    rows: await race(entrants, 3 * course.settings.rounds, course.settings.warmUp),
    aims: () => [{ to: 'node', most: 1.25 }],
  };
}
