import type { Contender, Engine } from './contender.ts';
import type { Machine } from './machine.ts';

export interface Result {
  readonly contender: string;
  readonly engine: Engine;
  readonly group: number;
  readonly facts: readonly string[];
  /** Microseconds per acknowledged append: the mean of each round, in the order of the rounds. */
  readonly rounds: readonly number[];
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** Medians of this run, divided; to the better of an engine's contenders with the same group. */
  readonly ratios: { readonly bare: number; readonly sqlite: number | null; readonly lmdb: number | null };
}

export interface Report {
  readonly machine: Machine;
  readonly command: string;
  readonly rounds: number;
  readonly appendsPerRound: number;
  readonly results: readonly Result[];
}

export const median = (values: readonly number[]): number => {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};

/** The contenders' results, in their order; the first contender is the floor. */
export function resultsOf(
  contenders: readonly Contender[],
  rounds: readonly (readonly number[])[],
  facts: readonly (readonly string[])[],
): Result[] {
  const medians = rounds.map((values) => median(values));
  const best = (engine: Engine, group: number): number | undefined => {
    const rivals = medians.filter(
      (_, index) => contenders[index]!.engine === engine && contenders[index]!.group === group,
    );
    return rivals.length === 0 ? undefined : Math.min(...rivals);
  };
  return contenders.map(({ name, engine, group }, index) => {
    const ratioTo = (other: Engine): number | null => {
      const rival = best(other, group);
      return rival === undefined ? null : medians[index]! / rival;
    };
    return {
      contender: name,
      engine,
      group,
      facts: facts[index]!,
      rounds: rounds[index]!,
      median: medians[index]!,
      min: Math.min(...rounds[index]!),
      max: Math.max(...rounds[index]!),
      ratios: { bare: medians[index]! / medians[0]!, sqlite: ratioTo('sqlite'), lmdb: ratioTo('lmdb') },
    };
  });
}

export function asMarkdown({ machine, command, rounds, appendsPerRound, results }: Report): string {
  const { cpu, cores, memoryGiB, kernel, node, fileSystem } = machine;
  const rows = results.map(({ contender, group, median, min, max, ratios }) => [
    contender,
    String(group),
    ...[median, min, max].map((value) => value.toFixed(value < 100 ? 1 : 0)),
    ...[ratios.bare, ratios.sqlite, ratios.lmdb].map((ratio) => ratio?.toFixed(2) ?? ''),
  ]);
  const facts = new Set(results.flatMap(({ facts }) => facts));
  return [
    `machine: ${cores} x ${cpu}, ${memoryGiB} GiB, ${kernel}, Node ${node}, ${fileSystem}`,
    `command: ${command}`,
    `${rounds} interleaved rounds after a warm-up, each of ${appendsPerRound} appends of 64 bytes, or of ten groups where that is more; all data read back and compared`,
    ...facts,
    '',
    ...table(['µs per acknowledged append', 'together', 'median', 'min', 'max', '/ bare', '/ SQLite', '/ LMDB'], rows),
  ].join('\n');
}

/** Lines of a Markdown table: the first column to the left, the others to the right. */
export function table(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!))).join(' | ')} |`;
  const rule = widths.map((width, column) => (column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`));
  return [line(head), line(rule), ...rows.map(line)];
}
