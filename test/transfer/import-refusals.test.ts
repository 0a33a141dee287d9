import { describe, expect, test } from 'vitest';
import { MemoryBlockFile } from '../../src/disk/block-file.ts';
import { importNodes } from '../../src/transfer/import.ts';
import { GOOD_LINES as GOOD, imported, joinLines as join } from '../support/exchange.ts';

const [FILE = '', PAGE = '', ...REST] = GOOD;
const NODES = REST.slice(0, 2);
const [SUMMARY = ''] = REST.slice(2);

/** The message for refused lines. @param line - the expected line number; none if something is missing at the end */
async function refusal(lines: string | Uint8Array, line?: number, pieceBytes?: number): Promise<string> {
  const error = await imported(lines, {}, pieceBytes).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ code: 'INVALID_LINE', message: expect.any(String) });
  const { message } = error as Error;
  expect(message.startsWith(line === undefined ? 'the input ' : `line ${line} of the input: `), message).toBe(true);
  return message;
}

/** The good lines with one replaced. */
const withLine = (number: number, ...lines: string[]): string => join(GOOD.toSpliced(number - 1, 1, ...lines));

const PLACED: readonly (readonly [what: string, line: number | undefined, lines: string, says: string])[] = [
  ['a later schema', 1, withLine(1, FILE.replace('"schema":1', '"schema":2')), '"schema" is 2; expected at most 1'],
  ['no schema', 1, withLine(1, FILE.replace('"schema":1,', '')), '"schema" is missing'],
  ['no block count', 1, withLine(1, '{"type":"file","schema":1}'), '"blocks" is missing'],
  ['more blocks than there can be', 1, withLine(1, FILE.replace('4', '16777217')), '"blocks" is 16777217'],
  ['a fractional block count', 1, withLine(1, FILE.replace('4', '1.5')), '"blocks" is 1.5'],
  ['a page twice', 3, withLine(2, PAGE.replace('2}', '0}'), PAGE), '"block" is 2; expected a whole number from 3 to 3'],
  ['a page in block 0', 2, withLine(2, PAGE.replace('"block":2', '"block":0')), '"block" is 0'],
  ['a page after the end of the file', 2, withLine(2, PAGE.replace('"block":2', '"block":4')), '"block" is 4'],
  ['an unknown page format', 2, withLine(2, PAGE.replace('v1', 'v3')), '"format" is "v3"; expected v1 or v2'],
  [
    'no finalized field',
    2,
    withLine(2, PAGE.replace('"finalized":false,', '')),
    '"finalized" is missing; expected true or false',
  ],
  ['a node count that is text', 2, withLine(2, PAGE.replace('"nodes":2', '"nodes":"2"')), '"nodes" is "2"'],
  ['a node before its page', 2, withLine(2), 'node "2:0" is not after the line of its page'],
  [
    'a node of another page',
    3,
    withLine(3, NODES[0]!.replace('2:0', '3:0')),
    'node "3:0" is not after the line of its page',
  ],
  [
    'a node left out',
    3,
    withLine(3),
    'node "2:1" found, expected 2:0: nodes are missing or out of order; to import the nodes with new refs',
  ],
  ['the last node left out', 4, withLine(4), 'page 2 has 1 of its 2 nodes: lines are missing'],
  ['a node twice', 4, withLine(4, NODES[0]!), 'node "2:0" found, expected 2:1'],
  [
    'a node too many',
    5,
    withLine(5, NODES[1]!.replace('2:1', '2:2'), SUMMARY),
    'node "2:2" found, expected the next page',
  ],
  [
    'a ref that is written differently',
    3,
    withLine(3, NODES[0]!.replace('2:0', '2:00')),
    'node "2:00" found, expected 2:0',
  ],
  ['a node without its ref', 3, withLine(3, '{"type":"node","text":"a"}'), '"ref" is missing'],
  ['no summary', undefined, withLine(5), 'the input ends before the summary'],
  [
    'another page count in the summary',
    5,
    withLine(5, SUMMARY.replace('"pages":1', '"pages":2')),
    'summary says 2 pages, the input has 1',
  ],
  [
    'another node count in the summary',
    5,
    withLine(5, SUMMARY.replace('"nodes":2', '"nodes":3')),
    'summary says 3 nodes, the input has 2',
  ],
  [
    'another block count in the summary',
    5,
    withLine(5, SUMMARY.replace('"blocks":4', '"blocks":5')),
    'summary says 5 blocks',
  ],
  ['a line after the summary', 6, join([...GOOD, NODES[0]!]), 'a line after the summary'],
  ['two exports', 6, join([...GOOD, ...GOOD]), 'import one export at a time'],
  ['a second file line', 2, withLine(1, FILE, FILE), 'a second "file" line'],
  ['an unknown type', 2, withLine(1, FILE, '{"type":"slot"}'), 'unknown type "slot"'],
  ['no type', 2, withLine(1, FILE, '{"text":"a"}'), '"type" is missing'],
  [
    'a root pointer to a block that does not exist',
    1,
    withLine(
      1,
      FILE.replace(
        '}',
        ',"rootPointer":"4398046511104","rootDescriptor":{"rootType":0,"isFinal":0,"termCount":0,"arenaCount":0,"rootRecord":"0"},"entryCount":"0"}',
      ),
    ),
    'the root pointer points to block 4, the file has 4',
  ],
  [
    'a root without a descriptor',
    1,
    withLine(1, FILE.replace('}', ',"rootPointer":"16777216"}')),
    '"rootDescriptor" is missing',
  ],
  [
    'a root pointer that is a number',
    1,
    withLine(1, FILE.replace('}', ',"rootPointer":16777216}')),
    '"rootPointer" is 16777216; expected a string of digits',
  ],
  [
    'a number too large for JavaScript',
    1,
    withLine(1, FILE.replace('4', '1e400')),
    '"blocks" is a number that is too large',
  ],
  [
    'a count of more than 64 bits',
    1,
    withLine(1, FILE.replace('}', ',"imageCheckpointLsn":"18446744073709551616"}')),
    '"imageCheckpointLsn" is "18446744073709551616"',
  ],
];

const BYTES: readonly (readonly [what: string, fields: string, says: string])[] = [
  ['none', '', 'a node has its bytes in exactly one of'],
  ['two forms', ',"text":"a","hex":"61"', 'a node has its bytes in exactly one of'],
  ['text that is no string', ',"text":7', '"text" is 7; expected a string'],
  ['half of a surrogate pair', ',"text":"\\ud83d"', 'half of a surrogate pair'],
  ['half a digit pair', ',"hex":"abc"', '"hex" is "abc", which is not hex'],
  ['hex with spaces', ',"hex":"61 62"', 'which is not hex'],
  ['base64 without its padding', ',"base64":"/w"', 'which is not base64'],
  ['a character that has the low byte of a digit', ',"base64":"\\u0141AAA"', 'which is not base64'],
  ['an unknown encoding', ',"encoding":"raw","data":"a"', '"encoding" is "raw"; expected base64 or hex'],
];

describe('a line that cannot be imported is refused with its number:', () => {
  test.each(PLACED)('%s', async (_, line, lines, says) => {
    expect(await refusal(lines, line)).toContain(says);
    expect(await refusal(lines, line, 3)).toContain(says);
  });

  test.each(BYTES)('a node with %s for its bytes', async (_, fields, says) => {
    expect(await refusal(`{"type":"node"${fields}}`, 1)).toContain(says);
    expect(await refusal(withLine(4, `{"type":"node","ref":"2:1"${fields}}`), 4)).toContain(says);
  });

  test.each([
    ['no JSON', 'x', 'not JSON; this is the last line: was the input truncated?'],
    ['a truncated line', '{"type":"no', 'not JSON; this is the last line: was the input truncated?'],
    ['no object', '[1]', 'not a JSON object'],
    ['null', 'null', 'not a JSON object'],
    ['nested too deep', '['.repeat(200_000), 'not JSON'],
    ['a node with a ref and no file line', NODES[0]!, 'a node with a ref, but the input does not begin with'],
    ['a page and no file line', PAGE, 'a line of type "page", but'],
    ['a summary alone that counts nodes', '{"type":"summary","nodes":3}', 'summary says 3 nodes, the input has 0'],
  ])('a first line that is %s', async (_, line, says) => {
    expect(await refusal(line, 1)).toContain(says);
  });

  const DEEP = 100_000;
  const deep = `${'['.repeat(DEEP)}${']'.repeat(DEEP)}`;
  const deepObjects = `${'{"a":'.repeat(DEEP / 5)}1${'}'.repeat(DEEP / 5)}`;

  test.each([
    ['no object', deep, 'not a JSON object'],
    ['the text of a node', `{"type":"node","text":${deep}}`, '"text" is an array; expected a string'],
    ['the bytes of a node', `{"type":"node","hex":${deepObjects}}`, '"hex" is an object; expected a string'],
    ['the type', `{"type":${deep}}`, '"type" is an array'],
    ['a ref', `{"type":"node","ref":${deep},"text":"a"}`, 'a node with a ref'],
    ['a count in a summary', `{"type":"summary","nodes":${deep}}`, 'summary says an array nodes'],
  ])('arrays and objects with 100,000 levels: %s', async (_, line, says) => {
    expect(await refusal(line, 1)).toContain(says);
  });

  test.each([
    ['the blocks of the file', 1, withLine(1, FILE.replace('4', deep)), '"blocks" is an array'],
    [
      'the root descriptor',
      1,
      withLine(1, FILE.replace('}', `,"rootPointer":"16777216","rootDescriptor":${deep}}`)),
      '"rootType" is missing',
    ],
    [
      'a ref that is expected',
      3,
      withLine(3, `{"type":"node","ref":${deep},"text":"a"}`),
      '"ref" is an array; expected block:slot',
    ],
    ['a type after the file line', 2, withLine(1, FILE, `{"type":${deep}}`), '"type" is an array'],
  ])('the lines of an export with an array of 100,000 levels: %s', async (_, line, lines, says) => {
    expect(await refusal(lines, line)).toContain(says);
  });

  test('bytes that are not UTF-8, in the second line', async () => {
    const lines = Buffer.from(`${FILE}\n{"type":"page","note":"\xff"}\n`, 'latin1');
    expect(await refusal(lines, 2)).toContain('not UTF-8');
  });

  test('no bytes, and only empty lines', async () => {
    expect(await refusal('')).toContain('the input has no lines');
    expect(await refusal('\n\n')).toContain('the input has no lines');
  });

  test('a line that does not end, before it fills the memory', async () => {
    let given = 0;
    function* endless(): Generator<Uint8Array> {
      yield Buffer.from(`${FILE}\n`);
      for (const piece = Buffer.alloc(65_536, 0x20); ; given += piece.length) yield piece;
    }
    await expect(importNodes(endless(), new MemoryBlockFile())).rejects.toMatchObject({
      code: 'INVALID_LINE',
      message: expect.stringContaining('line 2 of the input: longer than 2097152 bytes'),
    });
    expect(given).toBeLessThan(2_500_000);
  });

  test('an export, together with a page format', async () => {
    await expect(imported(join(GOOD), { pageFormat: 'v2' })).rejects.toMatchObject({ code: 'INVALID_LINE' });
  });

  test('a node that fits no page, in each encoding, and one that fits only the other format', async () => {
    const packed = (fields: string): Promise<unknown> => imported(`{"type":"node",${fields}}`);
    for (const fields of [
      `"text":"${'x'.repeat(262_081)}"`,
      `"text":"${'é'.repeat(131_041)}"`,
      `"text":"${'\\u0000'.repeat(262_081)}"`,
      `"hex":"${'00'.repeat(262_081)}"`,
      `"base64":"${'AAAA'.repeat(90_000)}"`,
      `"text":"${'x'.repeat(262_009)}"`,
    ]) {
      await expect(packed(fields)).rejects.toMatchObject({
        code: 'NODE_TOO_LARGE',
        message: expect.stringMatching(/^line 1 of the input: the node has/),
      });
    }
    const long = `{"type":"node","text":"${'\\u0000'.repeat(262_075)}"}`;
    expect((await imported(long, { pageFormat: 'v2' })).report.bytes).toBe(262_075);
  });
});
