import { describe, expect, test } from 'vitest';
import { errnoOf, ioError } from '../../src/disk/node-fs.ts';
import { noteOnce, setNoteListener } from '../../src/disk/node-notes.ts';
import { sharedMode } from '../../src/disk/node-owner.ts';

describe('the mode of a file beside a page file', () => {
  const octal = (mode: number): string => mode.toString(8);

  test.each([0o600, 0o640, 0o664, 0o444, 0o755])('is that of the page file if the owner is: %o', (mode) => {
    for (const kind of ['lock', 'data'] as const) {
      expect(octal(sharedMode(mode, { uid: true, gid: true }, kind))).toBe(octal((mode & 0o666) | 0o600));
    }
  });

  test.each([
    // page file, has its owner, has its group, lock, data
    [0o600, false, false, 0o666, 0o666],
    [0o600, false, true, 0o666, 0o666],
    // Whoever owns a file is in its group, so its data need not be open to all.
    [0o660, false, true, 0o666, 0o660],
    [0o660, true, false, 0o666, 0o666],
    // Who may only read has no right to a way of writing, and their group is not the one that the file has.
    [0o640, true, false, 0o600, 0o600],
    [0o644, true, false, 0o644, 0o644],
    [0o666, false, false, 0o666, 0o666],
  ])('lets all in who may write to the page file: %o, owner %s, group %s', (mode, uid, gid, lock, data) => {
    expect(octal(sharedMode(mode, { uid, gid }, 'lock'))).toBe(octal(lock));
    expect(octal(sharedMode(mode, { uid, gid }, 'data'))).toBe(octal(data));
  });
});

test.each([
  ['Unknown system error -37', 'ENOLCK'],
  ['Unknown system error -122', 'EDQUOT'],
  ['Unknown system error -121', 'EREMOTEIO'],
  ['Unknown system error -4000', 'error 4000'],
  ['ENOENT', 'ENOENT'],
])('an error of the system has its name: %s', (code, name) => {
  const cause = Object.assign(new Error(`${code}: , fsync`), { code });
  expect(errnoOf(cause)).toBe(name);
  const error = ioError('a.part', 'sync', cause);
  expect(error.message).not.toContain('Unknown');
  expect(error).toMatchObject({ detail: { errno: name } });
});

test('a note is given once', () => {
  const notes: string[] = [];
  const before = setNoteListener((note) => void notes.push(note));
  for (const note of ['one of its test', 'another of its test', 'one of its test']) noteOnce(note);
  setNoteListener(before);
  expect(notes).toEqual(['one of its test', 'another of its test']);
});
