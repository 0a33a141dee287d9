import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type * as Library from '../../../src/index.ts';
import { type Course, remove } from '../course.ts';
import { type Entrant, race } from '../race.ts';
import type { Measure } from '../result.ts';
import { runProgram, runTool } from '../run-program.ts';
import { linesFile } from './lines-file.ts';

const SHELL = 'sqlite3';

/** `append` of a file of lines, beside what the shell of SQLite does with the same file. */
export async function commandLineAppend(course: Course): Promise<Measure> {
  const hasSqlite = course.settings.withPeers && spawnSync(SHELL, ['--version']).status === 0;
  const entrants = [
    ...(['v1', 'v2'] as const).map((format) => ours(course, format)),
    ...(hasSqlite ? ['DELETE', 'WAL'].map((mode) => shellOfSqlite(course, mode)) : []),
  ];
  return {
    name: 'append-cli',
    title: 'Append of a file of lines by the command',
    unit: 'k nodes/s',
    better: 'higher',
    opponents: ['sqlite'],
    rows: await race(
      entrants.filter(({ name }) => course.matches(name)),
      course.settings.rounds,
      course.settings.warmUp,
    ),
    aims: () => [{ to: 'sqlite', least: 1.5 }],
    notes: hasSqlite ? [] : ['The shell of SQLite is not here: there is no `sqlite3` in the PATH.'],
  };
}

function ours(course: Course, format: Library.PageFormat): Entrant {
  const { path, text } = linesFile(course);
  return {
    name: `artrie-pages ${format}, append --quiet --input`,
    engine: 'artrie-pages',
    async run(round) {
      const folder = course.folder();
      const file = join(folder, 'pages.part');
      await runTool(course, ['create', '--page-format', format, file]);
      const { seconds } = await runTool(course, ['append', '--quiet', '--input', path, file]);
      if (round === 0) await assertLines(course, file, text);
      remove(folder);
      return course.settings.nodes / 1000 / seconds;
    },
  };
}

async function assertLines({ settings }: Course, file: string, text: Buffer): Promise<void> {
  const { PageStore } = (await import(settings.sources.library)) as typeof Library;
  const store = await PageStore.open(file, { access: 'read' });
  const cursor = store.cursor();
  let at = 0;
  while (await cursor.nextPage()) {
    while (cursor.next()) {
      const end = at + cursor.end - cursor.start;
      if (text.compare(cursor.bytes, cursor.start, cursor.end, at, end) !== 0 || text[end] !== 10)
        throw new Error(`the node at ${cursor.block}:${cursor.slot} is not the line at byte ${at}`);
      at = end + 1;
    }
  }
  await store.close();
  if (at !== text.length) throw new Error(`${text.length} bytes of lines were appended, and ${at} are there`);
}

/** synchronous=FULL is what it comes with; `.import` makes one transaction. */
function shellOfSqlite(course: Course, mode: string): Entrant {
  const { path, text } = linesFile(course);
  return {
    name: `sqlite3 .import, ${mode}, FULL`,
    engine: 'sqlite',
    async run(round) {
      const folder = course.folder();
      const file = join(folder, 'sqlite');
      await runProgram(SHELL, [file], `PRAGMA journal_mode=${mode}; CREATE TABLE nodes (node BLOB NOT NULL);`);
      // Of its modes, `ascii` alone looks for no quotes.
      const script = `PRAGMA synchronous=FULL;\n.mode ascii\n.separator "\\037" "\\n"\n.import ${path} nodes\n`;
      const { seconds } = await runProgram(SHELL, ['-bail', file], script);
      if (round === 0) {
        const { output } = await runProgram(SHELL, [file], 'SELECT node FROM nodes ORDER BY rowid;');
        if (output !== text.toString()) throw new Error('sqlite3 gives other lines than it was given');
      }
      remove(folder);
      return course.settings.nodes / 1000 / seconds;
    },
  };
}
