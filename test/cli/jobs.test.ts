import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { SEGMENT_BYTES } from '../../src/cli/decode/segment.ts';
import { frameOf, type Framing } from '../../src/cli/framing.ts';
import { COMMIT_RECORD } from '../../src/format/commit-record.ts';
import { FILE_ID } from '../../src/format/file-id.ts';
import { COMMIT_RECORD_OFFSETS, FILE_ID_OFFSET } from '../../src/format/layout.ts';
import { expectOneError, output, runCli, runInProcess } from '../support/cli.ts';
import { temporaryFolder } from '../support/files.ts';
import { hexLines, TWO_SEGMENTS } from '../support/hex-lines.ts';
import { makeNodes } from '../support/nodes.ts';

const folder = temporaryFolder();
let files = 0;
async function newFile(): Promise<string> {
  const path = join(folder, `${files++}.part`);
  await output(['create', path]);
  return path;
}

interface Outcome {
  readonly exit: number | null;
  readonly stdout: string;
  readonly stderr: string;
  /** The file that it has appended to. */
  readonly bytes: Buffer;
}

/** What the command does without threads; in this process, where there is no file for a thread to run. */
async function withoutThreads(args: readonly string[], input: Uint8Array): Promise<Outcome> {
  const path = await newFile();
  const { exit, stdout, stderr } = await runInProcess(['append', path, ...args], { stdin: [input] });
  return outcome(path, exit, stdout, stderr);
}

async function withJobs(jobs: number, args: readonly string[], input: Uint8Array): Promise<Outcome> {
  const path = await newFile();
  // A file, since a pipe pauses when the machine is busy, and a pause ends a batch.
  const inputPath = `${path}.input`;
  writeFileSync(inputPath, input);
  const command = ['append', path, '--input', inputPath, '--jobs', String(jobs), ...args];
  const { exit, stdout, stderr } = await runCli(command);
  rmSync(inputPath);
  return outcome(path, exit, stdout, stderr.toString());
}

function outcome(path: string, exit: number | null, stdout: Buffer, stderr: string): Outcome {
  const bytes = readFileSync(path);
  // Where batches end depends on how busy the machine is, and the records on that. Nothing else does.
  for (const offset of COMMIT_RECORD_OFFSETS) bytes.fill(0, offset, offset + COMMIT_RECORD.bytes);
  bytes.fill(0, FILE_ID_OFFSET, FILE_ID_OFFSET + FILE_ID.bytes); // random
  for (const name of [path, `${path}.lock`]) rmSync(name, { force: true });
  // What takes longer than a second tells how far it is.
  const told = stderr.replaceAll(new RegExp(`^${path}: .*\n`, 'gm'), '');
  return { exit, stdout: stdout.toString().replaceAll(path, 'FILE'), stderr: told.replaceAll(path, 'FILE'), bytes };
}

function expectSame(some: Outcome, other: Outcome): void {
  expect({ ...some, bytes: undefined }).toEqual({ ...other, bytes: undefined });
  expect(some.bytes.equals(other.bytes)).toBe(true);
}

function encoded(nodes: readonly Uint8Array[], encoding: BufferEncoding, framing: Framing): Buffer {
  return Buffer.concat(
    nodes.flatMap((node) => {
      const text = Buffer.from(Buffer.from(node).toString(encoding));
      const { before, after } = frameOf(framing, text.length);
      return [before, text, after];
    }),
  );
}

/** Several MiB: empty nodes, small ones, some that are longer than a segment, and the longest that a page holds. */
const NODES: readonly Uint8Array[] = [
  ...makeNodes(20_000, 0, 90, 1),
  ...makeNodes(3, 262_008, 262_008, 2),
  ...makeNodes(2000, 0, 0, 3),
  ...makeNodes(60, 0, 60_000, 4),
  ...makeNodes(1, 150_000, 150_000, 5),
  ...makeNodes(5000, 0, 90, 6),
];

describe.each(['hex', 'base64'] as const)('%s', (encoding) => {
  test.each(['lines', 'nul', 'u32'] as const)(
    '%s: refs and file are the same with 1, 2 and 4 jobs',
    async (framing) => {
      const all = encoded(NODES, encoding, framing);
      // Each slot of four jobs is used more than once.
      expect(all.length).toBeGreaterThan(2 * 8 * SEGMENT_BYTES);
      // The last frame needs no delimiter.
      const input = framing === 'u32' ? all : all.subarray(0, -1);
      const args = ['--encoding', encoding, '--framing', framing];
      const expected = await withoutThreads(args, input);
      expect(expected).toMatchObject({ exit: 0, stderr: '' });
      expect(expected.stdout.match(/\n/g)).toHaveLength(NODES.length);
      for (const jobs of framing === 'lines' ? [2, 4] : [encoding === 'hex' ? 4 : 2])
        expectSame(await withJobs(jobs, args, input), expected);
    },
  );
});

/** As many bytes in fewer lines, for small batches. */
const LONG_LINES = `${'61'.repeat(1000)}\n`.repeat(270);

function lengthPrefixed(length: number, content: string): Buffer {
  const prefix = Buffer.alloc(4);
  prefix.writeUInt32LE(length);
  return Buffer.concat([prefix, Buffer.from(content)]);
}

interface Case {
  readonly what: string;
  readonly args?: readonly string[];
  readonly input: string | Uint8Array;
}

const HEX: readonly string[] = ['--encoding', 'hex'];
const U32: readonly string[] = [...HEX, '--framing', 'u32'];

const GOOD: readonly Case[] = [
  { what: 'no input', input: '' },
  { what: 'an empty line', input: '\n' },
  { what: 'one line without its end', input: '61' },
  { what: 'batches', args: [...HEX, '--batch', '1000'], input: hexLines(TWO_SEGMENTS) },
  { what: 'JSON', args: [...HEX, '--json'], input: '61\n6262\n' },
];

const BAD: readonly Case[] = [
  { what: 'an odd digit', input: '61\n6\n' },
  { what: 'the first line', input: `xy\n${hexLines(10)}` },
  { what: 'a line in the first segment', input: `${hexLines(9)}xy\n${hexLines(TWO_SEGMENTS)}` },
  { what: 'a line in the middle', input: `${hexLines(TWO_SEGMENTS)}6\n${hexLines(TWO_SEGMENTS)}` },
  { what: 'the last line', input: `${hexLines(TWO_SEGMENTS)}61 ` },
  { what: 'two lines of different segments', input: `6g\n${hexLines(TWO_SEGMENTS)}6h\n` },
  { what: 'a batch of 1', args: [...HEX, '--batch', '1'], input: `${hexLines(50)}xy\n${hexLines(TWO_SEGMENTS)}` },
  { what: 'batches of 7', args: [...HEX, '--batch', '7'], input: `${LONG_LINES}xy\n${hexLines(9)}` },
  { what: 'a long line', input: `61\n${'61'.repeat(200_000)}x\n` },
  { what: 'bytes that are no text', input: Buffer.from([0x36, 0x31, 0x0a, 0xe4, 0x00, 0x0a]) },
  { what: 'base64 without padding', args: ['--encoding', 'base64'], input: 'YQ==\nYQ\n' },
  { what: 'base64 of another alphabet', args: ['--encoding', 'base64', '--framing', 'nul'], input: 'YQ==\0Y-_=\0' },
  { what: 'a line that is too long', input: `${hexLines(20)}${'61'.repeat(300_000)}\n62\n` },
  { what: 'a last line that is too long', input: `${hexLines(TWO_SEGMENTS)}${'61'.repeat(300_000)}` },
  { what: 'a bad line before one that is too long', input: `61\n6\n${'61'.repeat(300_000)}` },
  { what: 'a node that is too long for a page', input: `61\n${'61'.repeat(262_144)}\n62\n` },
  { what: 'a bad node in u32', args: U32, input: Buffer.concat([lengthPrefixed(2, '61'), lengthPrefixed(2, '6z')]) },
  { what: 'a length in u32 that is cut', args: U32, input: Buffer.concat([lengthPrefixed(2, '61'), Buffer.alloc(3)]) },
  { what: 'a node in u32 that is cut', args: U32, input: lengthPrefixed(5, 'abcd') },
  { what: 'a length in u32 that is too much', args: U32, input: Buffer.from(`61\n${hexLines(TWO_SEGMENTS)}`) },
];

test.concurrent.each(GOOD)('$what: the same with threads', async ({ args = HEX, input }) => {
  const expected = await withoutThreads(args, Buffer.from(input));
  expect(expected).toMatchObject({ exit: 0, stderr: '' });
  expectSame(await withJobs(2, args, Buffer.from(input)), expected);
});

test.concurrent.each(BAD)('$what: refused with the same words, after the same nodes', async ({ args = HEX, input }) => {
  const expected = await withoutThreads(args, Buffer.from(input));
  expect(expected.exit).toBe(2);
  expectOneError(expected.stderr);
  expectSame(await withJobs(2, args, Buffer.from(input)), expected);
});

test('input that cannot be read is refused with the same message', async () => {
  const args = [...HEX, '--input', folder];
  const expected = await withoutThreads(args, new Uint8Array(0));
  expect(expected.exit).toBe(3);
  expectSame(await withJobs(2, args, new Uint8Array(0)), expected);
});

test('raw nodes, whole input and DATA arguments need no threads', async () => {
  const path = await newFile();
  const jobs = ['--jobs', '4'];
  // In this process a thread would have no file to run.
  expect(await output(['append', path, ...jobs], { stdin: [Buffer.from('a\nb\n')] })).toBe('1:0\n1:1\n');
  const whole = ['append', path, ...jobs, ...HEX, '--framing', 'whole'];
  expect(await output(whole, { stdin: [Buffer.from('6162')] })).toBe('1:2\n');
  expect(await output(['append', path, ...jobs, ...HEX, '6364'])).toBe('1:3\n');
  expect(await output(['read', path, '--all'])).toBe('a\nb\nab\ncd\n');
});

test.each(['0', '65', '-1', '1.5', 'two'])('--jobs %s is wrong usage', async (jobs) => {
  const path = await newFile();
  const { exit, stderr } = await runInProcess(['append', path, '--jobs', jobs, ...HEX, '61']);
  expect(exit).toBe(2);
  expectOneError(stderr);
  expect(stderr).toContain('a whole number from 1 to 64');
});
