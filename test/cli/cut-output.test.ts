import { execFile } from 'node:child_process';
import { closeSync, copyFileSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, test } from 'vitest';
import { main } from '../../src/cli/program.ts';
import { Output } from '../../src/cli/context.ts';
import { DescriptorOutput, StreamOutput } from '../../src/cli/standard-output.ts';
import { BIN, output, runCli } from '../support/cli.ts';
import { goldenPath, temporaryFolder } from '../support/files.ts';

const folder = temporaryFolder();
const full = join(folder, 'full.part');
const other = join(folder, 'other.part');

beforeAll(async () => {
  for (const path of [full, other]) await output(['create', path]);
  const input = join(folder, 'input');
  writeFileSync(input, Array.from({ length: 2000 }, (_, node) => `node ${node}\n`).join(''));
  await output(['append', full, '--input', input, '-q']);
});

interface Ended {
  readonly exit: number;
  readonly stderr: string;
}

/** Runs a shell script in which `pages` is the program. @returns what it printed */
async function shell(script: string, ...args: readonly string[]): Promise<string> {
  const run = promisify(execFile);
  const whole = `pages() { "${process.execPath}" "${BIN}" "$@"; }\n${script}`;
  return (await run('bash', ['-c', whole, 'bash', ...args])).stdout;
}

/** What is in a file of standard error, without the lines of progress that a slow machine gets. */
const errorIn = (path: string): string => /^artrie-pages: .*\n$/ms.exec(readFileSync(path, 'utf8'))?.[0] ?? '';

/** Runs a command whose standard output is a file that may have 4 KiB. */
async function runLimited(args: readonly string[]): Promise<Ended & { readonly bytes: number }> {
  const [out, err] = [join(folder, 'out'), join(folder, 'err')];
  const told = await shell(
    'out=$1 err=$2; shift 2; (ulimit -f 4; pages "$@" > "$out" 2> "$err"; echo $?)',
    out,
    err,
    ...args,
  );
  return { exit: Number(told), stderr: errorIn(err), bytes: readFileSync(out).length };
}

const commands: (readonly string[])[] = [
  ['export', full],
  ['export', full, '--encoding', 'hex'],
  ['read', full, '--all'],
  ['read', full, '--all', '--json'],
  ['dump', full, '--block', '1'],
  ['dump', full, '--block', '1', '--hex'],
  ['dump', full, '--json', '--block', '1'],
  ['diff', full, other],
  ['diff', full, other, '--json'],
];

describe('a file that takes only a part of what is printed', () => {
  test.each(commands.map((args) => [args]))('%j', async (args) => {
    const { exit, stderr, bytes } = await runLimited(args);
    expect({ exit, stderr }).toEqual({
      exit: 3,
      stderr: 'artrie-pages: standard output: write failed (EFBIG)\n',
    });
    // The first write was cut, and the next one was tried.
    expect(bytes).toBe(4096);
  });

  test.each(['text', 'json', 'junit', 'sarif', 'github'])('a report of verify in format %s', async (format) => {
    const copies = Array.from({ length: 40 }, (_, index) => join(folder, `${format}-${index}.part`));
    for (const copy of copies) copyFileSync(goldenPath('stale-header'), copy);
    const { exit, stderr } = await runLimited(['verify', '--format', format, ...copies]);
    expect({ exit, stderr }).toEqual({
      exit: 3,
      stderr: 'artrie-pages: standard output: write failed (EFBIG)\n',
    });
  });

  test('the refs of append, whose nodes stay', async () => {
    const path = join(folder, 'refs.part');
    await output(['create', path]);
    const refs = join(folder, 'refs');
    // Enough for the page file, and for a part of the refs.
    writeFileSync(refs, Buffer.alloc(2 ** 20 - 1000));
    const script = '(ulimit -f 1024; pages append "$1" --input "$2" >> "$3" 2> "$3.err"; echo $?)';
    expect(await shell(script, path, join(folder, 'input'), refs)).toBe('3\n');
    expect(errorIn(`${refs}.err`)).toBe('artrie-pages: standard output: write failed (EFBIG)\n');
    expect(readFileSync(refs)).toHaveLength(2 ** 20);
    const nodes = await output(['read', path, '--all']);
    expect(nodes.split('\n')).toHaveLength(2001);
  });
});

describe('standard error that cannot be written', () => {
  async function runSilenced(args: readonly string[]): Promise<string> {
    return shell('pages "$@" 2> /dev/full > /dev/null; echo $?', ...args);
  }

  test('a command that had a note to print exits 3', async () => {
    // One of its pages has nodes and no directory, which is no error.
    expect(await runSilenced(['read', goldenPath('v2-unfinalized'), '--all'])).toBe('3\n');
  });

  test('an error keeps its exit code', async () => {
    expect(await runSilenced(['read', full, '9:9'])).toBe('2\n');
    expect(await runSilenced(['stat', join(folder, 'none')])).toBe('3\n');
    expect(await runSilenced(['nonsense'])).toBe('2\n');
  });

  test('a command without a note is not concerned', async () => {
    expect(await runSilenced(['stat', full])).toBe('0\n');
  });
});

test.each([[['--help']], [['--version']], [['append', '--help']], [['help']]])(
  '%j that cannot be written exits 3',
  async (args) => {
    const fd = openSync('/dev/full', 'w');
    try {
      const { exit, stderr } = await runCli(args, { stdout: fd });
      expect({ exit, stderr: stderr.toString() }).toEqual({
        exit: 3,
        stderr: 'artrie-pages: standard output: write failed (ENOSPC)\n',
      });
    } finally {
      closeSync(fd);
    }
  },
);

/** Fails the write that passes a number of bytes. */
function failingStream(bytes: number, code: string): Writable {
  let left = bytes;
  return new Writable({
    write(chunk: Buffer, _, done) {
      left -= chunk.length;
      done(left < 0 ? Object.assign(new Error('failed'), { code }) : null);
    },
  });
}

class Discarded extends Output {
  readonly isTerminal = false;
  readonly closed = false;
  text = '';
  protected async send(bytes: Uint8Array): Promise<void> {
    this.text += Buffer.from(bytes).toString();
  }
}

async function runWith(stdout: Output, args: readonly string[]): Promise<Ended> {
  const stderr = new Discarded();
  const openStdin = (): never => {
    throw new Error('not read');
  };
  const signal = new AbortController().signal;
  const exit = await main(args, { openStdin, stdout, stderr, signal, env: {} });
  return { exit, stderr: stderr.text };
}

test('a terminal or pipe whose last write fails is exit 3', async () => {
  const stdout = new StreamOutput(failingStream(10, 'EIO'), 'standard output');
  expect(await runWith(stdout, ['stat', full])).toEqual({
    exit: 3,
    stderr: 'artrie-pages: standard output: write failed (EIO)\n',
  });
});

test('a pipe whose reader has gone stays quiet', async () => {
  const stdout = new StreamOutput(failingStream(10, 'EPIPE'), 'standard output');
  expect(await runWith(stdout, ['stat', full])).toEqual({ exit: 0, stderr: '' });
});

test('a failure of closing the file is exit 3', async () => {
  const fd = openSync(join(folder, 'closed'), 'w');
  const stdout = new DescriptorOutput(fd, 'standard output', 'a file');
  await stdout.write('text');
  await stdout.flush();
  closeSync(fd);
  expect(await runWith(stdout, ['append', '--version-x'])).toMatchObject({ exit: 2 });
  expect(stdout.failure).toBeDefined();
});

test('a failed write that a command has passed over is exit 3 all the same', async () => {
  const stdout = new StreamOutput(failingStream(0, 'EIO'), 'standard output');
  await stdout.write('text');
  await stdout.flush().catch(() => undefined);
  expect((await runWith(stdout, ['stat', full])).exit).toBe(3);
});

test.runIf(process.getuid?.() === 0)('a full disk cuts the output, and the command exits 3', async () => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  const told = await shell(
    `mount -t tmpfs -o size=16k none "$2" 2> /dev/null || { echo cannot mount; exit; }
     pages export "$1" > "$2/out" 2> "$2.err"; echo $?; umount "$2"`,
    full,
    disk,
  );
  // Not even root may mount in every container.
  if (told === 'cannot mount\n') return;
  expect(told).toBe('3\n');
  expect(errorIn(`${disk}.err`)).toBe('artrie-pages: standard output: write failed (ENOSPC)\n');
});
