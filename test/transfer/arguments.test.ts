import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { compact } from '../../src/transfer/compact.ts';
import { diff } from '../../src/transfer/diff.ts';
import { exportNodes } from '../../src/transfer/export.ts';
import { importNodes } from '../../src/transfer/import.ts';

const file = (): MemoryBlockFile => new MemoryBlockFile();
/** A value that the types do not allow. */
const wrong = (value: unknown): never => value as never;

const CALLS: readonly (readonly [
  title: string,
  call: () => Promise<unknown>,
  type: ErrorConstructor,
  named: string,
])[] = [
  ['compact without a target', () => compact('a', wrong(undefined)), TypeError, 'compact: target'],
  ['compact of a number', () => compact(wrong(7), file()), TypeError, 'compact: source'],
  [
    'compact of an object without a journal',
    () => compact(wrong({ read: () => 0 }), file()),
    TypeError,
    'compact: source',
  ],
  ['compact with options null', () => compact(file(), file(), wrong(null)), TypeError, 'compact: options'],
  ['compact with an unknown option', () => compact(file(), file(), wrong({ force: true })), TypeError, "'force'"],
  ['compact with dedupe 1', () => compact(file(), file(), { dedupe: wrong(1) }), TypeError, 'options.dedupe'],
  [
    'compact to a format v3',
    () => compact(file(), file(), { pageFormat: wrong('v3') }),
    RangeError,
    'options.pageFormat',
  ],
  ['diff without a second file', () => diff('a', wrong(undefined)), TypeError, 'diff: b'],
  ['diff of null', () => diff(wrong(null), 'b'), TypeError, 'diff: a'],
  [
    'diff with a function as options',
    () =>
      diff(
        file(),
        file(),
        wrong(() => {}),
      ),
    TypeError,
    'diff: options',
  ],
  ['diff by slots', () => diff(file(), file(), { compare: wrong('slots') }), RangeError, 'options.compare'],
  ['diff with a signal of its own', () => diff(file(), file(), { signal: wrong({}) }), TypeError, 'options.signal'],
  ['exportNodes of nothing', () => exportNodes(wrong(undefined)).next(), TypeError, 'exportNodes: source'],
  [
    'exportNodes in base32',
    () => exportNodes(file(), { encoding: wrong('base32') }).next(),
    RangeError,
    'options.encoding',
  ],
  ['exportNodes with an unknown option', () => exportNodes(file(), wrong({ hex: true })).next(), TypeError, "'hex'"],
  ['importNodes of null', () => importNodes(wrong(null), file()), TypeError, 'importNodes: lines'],
  ['importNodes of a string', () => importNodes(wrong('{}'), file()), TypeError, 'importNodes: lines'],
  ['importNodes of strings', () => importNodes(wrong(['{}']), file()), TypeError, 'importNodes: lines'],
  ['importNodes to a number', () => importNodes([], wrong(7)), TypeError, 'importNodes: target'],
  [
    'importNodes to a format v3',
    () => importNodes([], file(), { pageFormat: wrong('v3') }),
    RangeError,
    'options.pageFormat',
  ],
  [
    'importNodes with replace "yes"',
    () => importNodes([], file(), { replace: wrong('yes') }),
    TypeError,
    'options.replace',
  ],
];

describe('a call with a wrong argument is refused, and the error names the parameter', () => {
  test.each(CALLS)('%s', async (_, call, type, named) => {
    const error = await call().then(
      () => undefined,
      (reason: unknown) => reason,
    );
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toContain(named);
  });
});
