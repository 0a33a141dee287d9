import { execFileSync } from 'node:child_process';
import { describe, expect, test } from 'vitest';
import { oneLine, shellPath, shellWord } from '../../src/bytes/text.ts';

const WORDS = [
  'plain.part',
  'with space',
  "it's",
  '"double"',
  'a\nb',
  "tab\tand 'quote' \\ \r\n",
  '$HOME `id` $(id)',
  '*?[a]{b,c}',
  '~',
  '#',
  '',
  'ünï\u2028\u0085',
  '$(touch pwned) b.part',
  'left\u202egpj.exe\u2066',
];

/** The arguments that bash reads from a command line. */
function argumentsOf(line: string): string[] {
  const output = execFileSync('bash', ['-c', `printf '%s\\0' ${line}`], { encoding: 'utf8' });
  return output.split('\0').slice(0, -1);
}

describe('shell quoting', () => {
  test.each([
    ['plain.part', 'plain.part'],
    ['data/words-1.part', 'data/words-1.part'],
    ['with space', "'with space'"],
    ["it's", String.raw`'it'\''s'`],
    ['a\nb', String.raw`$'a\012b'`],
    ['-n', './-n'],
    ['--help', './--help'],
    ['- x', "'./- x'"],
    ['', "''"],
  ])('writes the path %j as %s', (path, quoted) => {
    expect(shellPath(path)).toBe(quoted);
  });

  test('a shell reads each word as it was, from one line', () => {
    const line = WORDS.map(shellWord).join(' ');
    expect(line).not.toMatch(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/u);
    expect(argumentsOf(line)).toEqual(WORDS);
  });
});

test('text for one line has its control characters and line separators escaped', () => {
  expect(oneLine('a\tb\r\nc\u001b[0m\u2028d\ud800\u009b1m\u202e\u2069\u200f \u{1f600}')).toBe(
    String.raw`a\tb\r\nc\u001b[0m\u2028d\ud800\u009b1m\u202e\u2069\u200f ` + '\u{1f600}',
  );
});
