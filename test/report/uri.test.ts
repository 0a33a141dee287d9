import { describe, expect, test } from 'vitest';
import { fileUri } from '../../src/report/sarif.ts';

describe('the URI of a file', () => {
  test.each([
    ['a.part', false, 'a.part'],
    ['./a//b.part', false, 'a/b.part'],
    ['../a.part', false, '../a.part'],
    ['.', false, './'],
    ['/', false, 'file:///'],
    ['/data/x y.part', false, 'file:///data/x%20y.part'],
    ['c:x', false, 'c%3Ax'],
    ['a\\b', false, 'a%5Cb'],
    ['a%20b?#', false, 'a%2520b%3F%23'],
    ['\u{d800}', false, '%EF%BF%BD'],
    ['a\\b.part', true, 'a/b.part'],
    ['C:\\data\\x.part', true, 'file:///C:/data/x.part'],
    ['\\\\server\\share\\x.part', true, 'file://server/share/x.part'],
  ])('%j, Windows: %j, is %s', (path, windows, uri) => {
    expect(fileUri(path, windows)).toBe(uri);
  });
});
