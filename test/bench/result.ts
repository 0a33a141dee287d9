import { table } from './report.ts';
import type { Row } from './race.ts';

/** What a value, or a ratio, has to be. */
export type Aim = { readonly least: number } | { readonly most: number };

/** An aim for a row: of its value itself, or of the ratio to another. */
export type RowAim = Aim & {
  /** An engine, of which the best row counts, or another opponent of the measure. */
  readonly to?: string;
};

export interface Measure {
  readonly name: string;
  readonly title: string;
  readonly unit: string;
  readonly better: 'higher' | 'lower';
  /** Who the rows of artrie-pages are divided by: engines for the most part, in the order of the columns. */
  readonly opponents: readonly string[];
  /** The name of the row that an opponent stands for, where it is no engine. */
  readonly rivalName?: (row: Row, to: string) => string | undefined;
  readonly rows: readonly Row[];
  readonly aims: (row: Row) => readonly RowAim[];
  /** What has to be known to read the table, such as what could not be measured here. */
  readonly notes?: readonly string[];
}

export interface Verdict {
  readonly row: string;
  /** Nothing where the value itself has an aim. */
  readonly to?: string;
  readonly value: number;
  readonly aim?: Aim;
  readonly isReached?: boolean;
}

/** All ratios of the rows of artrie-pages, and what they were to be: medians of one run, divided. */
export function verdictsOf(measure: Measure): Verdict[] {
  return measure.rows
    .filter(({ engine }) => engine === 'artrie-pages')
    .flatMap((row) => {
      const aims = measure.aims(row);
      const verdicts: Verdict[] = [];
      for (const own of aims.filter(({ to }) => to === undefined)) verdicts.push(judge(row.name, row.median, own));
      for (const to of measure.opponents) {
        const rival = rivalOf(measure, row, to);
        if (rival === undefined) continue;
        const aim = aims.find((each) => each.to === to);
        verdicts.push({ ...judge(row.name, row.median / rival.median, aim), to });
      }
      return verdicts;
    });
}

function judge(row: string, value: number, aim: RowAim | undefined): Verdict {
  if (aim === undefined) return { row, value };
  const bound: Aim = 'least' in aim ? { least: aim.least } : { most: aim.most };
  return { row, value, aim: bound, isReached: 'least' in aim ? value >= aim.least : value <= aim.most };
}

/** The best row of an engine; of the same kind, where it has one. */
function rivalOf({ rows, better, rivalName }: Measure, row: Row, to: string): Row | undefined {
  const named = rivalName?.(row, to);
  if (named !== undefined) return rows.find(({ name }) => name === named);
  const rivals = rows.filter(({ engine }) => engine === to);
  const same = rivals.filter(({ kind }) => kind === row.kind);
  return (same.length > 0 ? same : rivals.filter(({ kind }) => kind === undefined || row.kind === undefined)).toSorted(
    (a, b) => (better === 'higher' ? b.median - a.median : a.median - b.median),
  )[0];
}

/** A table of Markdown, with the aim beside each ratio that has one. */
export function measureMarkdown(measure: Measure): string {
  const { title, unit, better, opponents, rows, notes = [] } = measure;
  const verdicts = verdictsOf(measure);
  const shown = opponents.filter((to) => verdicts.some((verdict) => verdict.to === to));
  const head = [`${unit}, ${better} is better`, 'median', 'min', 'max', ...shown.map((to) => `/ ${to}`)];
  const cells = rows.map((row) => {
    const verdict = (to?: string): string => {
      const found = verdicts.find((each) => each.row === row.name && each.to === to);
      return found === undefined ? '' : verdictText(found);
    };
    const own = verdicts.find((each) => each.row === row.name && each.to === undefined);
    return [
      row.name,
      own === undefined ? figure(row.median) : verdictText(own),
      figure(row.min),
      figure(row.max),
      ...shown.map(verdict),
    ];
  });
  return [`## ${title}`, '', ...notes.flatMap((note) => [note, '']), ...table(head, cells), ''].join('\n');
}

function verdictText({ value, aim, isReached }: Verdict): string {
  if (aim === undefined) return figure(value);
  const bound = 'least' in aim ? `>= ${aim.least}` : `<= ${aim.most}`;
  return `${figure(value)} (aim ${bound}: ${isReached === true ? 'reached' : 'not reached'})`;
}

/** Three digits that count. */
export function figure(value: number): string {
  const size = Math.abs(value);
  if (size >= 100 || Number.isInteger(value)) return value.toFixed(0);
  return value.toFixed(size >= 10 ? 1 : size >= 0.1 ? 2 : 3);
}
