import { spawn } from 'node:child_process';
import { chmodSync, cpSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { type Context, Output } from '../../src/cli/context.ts';
import { ChunkSource } from '../../src/cli/input.ts';
import { main } from '../../src/cli/program.ts';
import { temporaryFolder } from './files.ts';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** Every command that there is. */
export const COMMANDS = [
  'create',
  'allocate',
  'append',
  'read',
  'update',
  'free',
  'finalize',
  'stat',
  'dump',
  'verify',
  'export',
  'import',
  'compact',
  'diff',
  'recover',
  'repair',
  'terms',
  'get',
] as const;

export type CommandName = (typeof COMMANDS)[number];

/** The executable of the checkout. */
export const BIN = join(ROOT, 'bin/artrie-pages.js');

/** A module that writes to stderr once SIGINT does not simply end the process any more. */
export const TELLS_WHEN_IT_LISTENS: string = `data:text/javascript,${encodeURIComponent(
  "process.on('newListener', (name) => name === 'SIGINT' && setImmediate(() => process.stderr.write('it listens')));",
)}`;

export interface ProcessResult {
  /** The exit code; null where a signal ended the process. */
  readonly exit: number | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface ProcessOptions {
  /** All of standard input; without it there is none. */
  readonly input?: Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** The user to run as; {@link ProcessOptions.bin} has to be where that user can read it. */
  readonly uid?: number;
  /** The only group to run in. */
  readonly gid?: number;
  /** Another copy of the executable: see {@link publicCopy}. */
  readonly bin?: string;
  /** A file descriptor that takes standard output. */
  readonly stdout?: number;
}

/** Runs the executable to its end. */
export async function runCli(args: readonly string[], options: ProcessOptions = {}): Promise<ProcessResult> {
  const child = spawn(process.execPath, [options.bin ?? BIN, ...args], {
    stdio: [options.input === undefined ? 'ignore' : 'pipe', options.stdout ?? 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    ...(options.uid === undefined ? {} : { uid: options.uid }),
    ...(options.gid === undefined ? {} : { gid: options.gid }),
  });
  const stdout: Buffer[] = [];
  const stderr: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr?.on('data', (chunk: Buffer) => stderr.push(chunk));
  // A command that fails early does not read its input to the end.
  child.stdin?.on('error', () => undefined);
  child.stdin?.end(options.input);
  const exit = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { exit, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
}

/** Copies the executable to where every user can read it. To be called where `afterAll` may be. @returns its path */
export function publicCopy(): string {
  const folder = temporaryFolder();
  chmodSync(folder, 0o755);
  for (const name of ['bin', 'dist', 'package.json']) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
  return join(folder, 'bin/artrie-pages.js');
}

/** Gives a {@link publicCopy} the locks of the system too. */
export function withNativeLocks(bin: string): string {
  const names = ['fs-native-extensions', 'which-runtime', 'require-addon'];
  for (const name of [...names, 'bare-addon-resolve', 'bare-module-resolve', 'bare-semver']) {
    const from = join(ROOT, 'node_modules', name);
    cpSync(from, join(bin, '../../node_modules', name), { recursive: true, dereference: true });
  }
  return bin;
}

/** Who permissions hold for: root passes them all, so a child of root becomes nobody. */
export const unprivileged: { readonly uid?: number } = process.getuid?.() === 0 ? { uid: 65_534 } : {};

class MemoryOutput extends Output {
  readonly isTerminal = false;
  readonly closed = false;
  readonly #chunks: Buffer[] = [];

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  protected async send(bytes: Uint8Array): Promise<void> {
    // A copy: the output uses its buffer again.
    this.#chunks.push(Buffer.from(bytes));
  }
}

export interface Result {
  readonly exit: number;
  readonly stdout: Buffer;
  readonly stderr: string;
}

export interface InProcessOptions {
  /** The chunks of standard input. */
  readonly stdin?: readonly Uint8Array[];
  readonly env?: Readonly<Record<string, string>>;
  /** Interrupts the command; by default nothing does. */
  readonly signal?: AbortSignal;
}

/** Runs a command line in this process. */
export async function runInProcess(args: readonly string[], options: InProcessOptions = {}): Promise<Result> {
  const { stdin = [], env = {}, signal = new AbortController().signal } = options;
  const stdout = new MemoryOutput();
  const stderr = new MemoryOutput();
  const context: Context = {
    openStdin: async () => ({
      source: new ChunkSource(Readable.from(stdin)),
      totalBytes: undefined,
      close: async () => undefined,
    }),
    stdout,
    stderr,
    signal,
    env,
  };
  const exit = await main(args, context);
  return { exit, stdout: stdout.bytes, stderr: stderr.bytes.toString() };
}

/** Runs a command line that has to succeed without a word on stderr. @returns its output */
export async function output(args: readonly string[], options: InProcessOptions = {}): Promise<string> {
  const { exit, stdout, stderr } = await runInProcess(args, options);
  expect({ args, exit, stderr }).toEqual({ args, exit: 0, stderr: '' });
  return stdout.toString('latin1');
}

/** The objects of JSON Lines. */
export function jsonLines(text: Buffer | string): Record<string, unknown>[] {
  const lines = text.toString().split('\n');
  expect(lines.pop()).toBe('');
  return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Expects what stands on stderr after a failure: one line that says whose error it is, and no stack trace. */
export function expectOneError(stderr: string | Buffer): void {
  expect(stderr.toString()).toMatch(/^artrie-pages: [^\n]+\n$/);
  expect(stderr.toString()).not.toContain('    at ');
}
