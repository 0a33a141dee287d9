import { expect, test } from 'vitest';
import { rowOf } from './race.ts';
import { type Measure, measureMarkdown, verdictsOf } from './result.ts';

const measure: Measure = {
  name: 'reads',
  title: 'Reads',
  unit: 'k/s',
  better: 'higher',
  opponents: ['lmdb', 'sqlite', 'level'],
  rows: [
    rowOf({ name: 'ours, copy', engine: 'artrie-pages', kind: 'copy' }, [100, 300, 200]),
    rowOf({ name: 'ours, view', engine: 'artrie-pages', kind: 'view' }, [600, 400]),
    rowOf({ name: 'lmdb, copy', engine: 'lmdb', kind: 'copy' }, [100]),
    rowOf({ name: 'lmdb, view', engine: 'lmdb', kind: 'view' }, [250]),
    rowOf({ name: 'sqlite, slow', engine: 'sqlite' }, [10]),
    rowOf({ name: 'sqlite, fast', engine: 'sqlite' }, [50]),
  ],
  aims: ({ kind }) => [{ to: 'lmdb', least: kind === 'view' ? 3 : 2 }, { most: 250 }],
};

test('a row is divided by the best rival of its kind, medians by medians, and held to its aims', () => {
  expect(verdictsOf(measure)).toEqual([
    { row: 'ours, copy', value: 200, aim: { most: 250 }, isReached: true },
    { row: 'ours, copy', to: 'lmdb', value: 2, aim: { least: 2 }, isReached: true },
    { row: 'ours, copy', to: 'sqlite', value: 4 },
    { row: 'ours, view', value: 500, aim: { most: 250 }, isReached: false },
    { row: 'ours, view', to: 'lmdb', value: 2, aim: { least: 3 }, isReached: false },
    { row: 'ours, view', to: 'sqlite', value: 10 },
  ]);
});

test('where lower is better, the best rival is the lowest', () => {
  const [first] = verdictsOf({ ...measure, better: 'lower', aims: () => [] }).filter(({ to }) => to === 'sqlite');
  expect(first?.value).toBe(20);
});

test('the table has the aim beside each ratio, and no column for who did not take part', () => {
  const lines = measureMarkdown(measure).split('\n');
  expect(lines[2]).toMatch(/^\| k\/s, higher is better \| +median \| min \| max \| +\/ lmdb \| \/ sqlite \|$/);
  expect(lines[4]).toMatch(/\| +200 \(aim <= 250: reached\) \| 100 \| 300 \| +2 \(aim >= 2: reached\) \| +4 \|$/);
  expect(lines[5]).toMatch(/\| +2 \(aim >= 3: not reached\) \| +10 \|$/);
});
